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

var lossTable = flag.String("table", "", "file to add the table of loss to, as markdown")

// TestLossTable is the table in docs/network.md: loss in bursts and jitter, over
// every road.
func TestLossTable(t *testing.T) {
	said := spokenOften(t, 4)
	for _, l := range lossRoads {
		t.Run(l.name, func(t *testing.T) {
			table := l.table(t, said)
			t.Log(table)
			if *lossTable == "" {
				return
			}
			f, err := os.OpenFile(*lossTable, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString(table); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// table is one road's.
func (l lossRoad) table(t *testing.T, said []int16) string {
	var b strings.Builder
	name := strings.ToUpper(l.name[:1]) + l.name[1:]
	fmt.Fprintf(&b, "\n**%s**\n\n| loss | jitter | STOI | ESTOI | R | MOS | concealed | recovered | mouth to ear | gateway's buffer | ear's buffer |\n"+
		"|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n", name)
	for _, jitter := range []time.Duration{0, 30 * time.Millisecond, 60 * time.Millisecond} {
		for _, loss := range []float64{0, 2, 5, 10} {
			got := l.over(t, said, networkOf(loss, jitter, len(said)))
			fmt.Fprintf(&b, "| %g %% | %d ms | %.3f | %.3f | %.0f | %.2f | %.1f %% | %.1f %% | %d ms | %d ms | %d ms |\n", loss, jitter.Milliseconds(), got.STOI, got.ESTOI,
				got.r, got.mos, got.concealed, got.recovered, got.delay.Milliseconds(), got.gateway.Buffer.Milliseconds(), got.ear.Buffer.Milliseconds())
			if jitter == 0 { // else delay costs R what it must, and the table shows it
				got.suffices(t, loss, cmp.Or(l.least, 80))
			}
		}
	}
	return b.String()
}
