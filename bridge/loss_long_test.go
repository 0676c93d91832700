//go:build long

package bridge

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var lossTable = flag.String("table", "", "file to write the table of loss to, as markdown")

// TestLossTable is the table in docs/network.md: loss in bursts and jitter, over
// every road, two and a half minutes of speech each.
func TestLossTable(t *testing.T) {
	said := spokenOften(t, 12)
	var table strings.Builder
	for _, l := range lossRoads {
		fmt.Fprintf(&table, "\n**%s**\n\n| loss | jitter | STOI | ESTOI | R | MOS | concealed | recovered | mouth to ear | gateway's buffer | ear's buffer |\n"+
			"|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n", l.name)
		for _, jitter := range []time.Duration{0, 30, 60} {
			for _, loss := range []float64{0, 2, 5, 10} {
				got := l.over(t, said, networkOf(loss, jitter*time.Millisecond, len(said)))
				fmt.Fprintf(&table, "| %g %% | %d ms | %.3f | %.3f | %.0f | %.2f | %.1f %% | %.1f %% | %d ms | %d ms | %d ms |\n", loss, jitter, got.STOI, got.ESTOI,
					got.r, got.mos, got.concealed, got.recovered, got.delay.Milliseconds(), got.gateway.Buffer.Milliseconds(), got.ear.Buffer.Milliseconds())
				t.Run(fmt.Sprintf("%s, jitter %d ms", l.name, jitter), func(t *testing.T) { got.suffices(t, loss, cmp.Or(l.least, 80)) })
			}
		}
	}
	t.Log(table.String())
	if *lossTable != "" {
		if err := os.WriteFile(*lossTable, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
