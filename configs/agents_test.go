package configs

import (
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/dialplan"
)

func TestTheAgentsSampleDoesWhatItsCommentsSay(t *testing.T) {
	p, err := dialplan.Parse(read(t, "agents.yaml"), set)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 10, 16, 0, 0, 0, time.UTC) // a Tuesday in New York
	for _, c := range []struct {
		to   string
		at   time.Time
		want []string
	}{
		{"+15551230010", noon, []string{"agent sales-bot", "queue sales", "agent night-bot", "number +15557654321 by carrier"}},
		{"+15551230010", noon.Add(12 * time.Hour), []string{"queue sales", "agent night-bot"}},
		{"+15551230012", noon, []string{"agent night-bot"}},
		{"+15551230011", noon, []string{"queue sales", "room front-desk"}},
		{"911", noon, []string{"agent sales-bot", "room sos-{{call.id}}", "number +15557654321 by carrier"}},
	} {
		e := p.Explain(dialplan.Query{Trunk: "carrier", To: c.to, At: c.at})
		var got []string
		for _, rung := range e.Ladder {
			got = append(got, rung.Words)
		}
		if strings.Join(got, "; ") != strings.Join(c.want, "; ") {
			t.Errorf("%s: got %q, want %q", c.to, got, c.want)
		}
	}
}
