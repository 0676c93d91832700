package phone

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// teller prints what happens: lines for people as it happens, or JSON reports.
// Safe for concurrent use.
type teller struct {
	json bool
	mu   sync.Mutex
	out  io.Writer
}

func newTeller(out io.Writer, json bool) *teller { return &teller{json: json, out: out} }

// line tells people one thing.
func (t *teller) line(format string, args ...any) {
	if t.json {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// narrate tells what happens on a call until it is over.
func (t *teller) narrate(c *Call) {
	changes, digits := c.Changes(), c.Digits()
	for changes != nil || digits != nil {
		select {
		case kind, ok := <-changes:
			if !ok {
				changes = nil
			} else if words := changeWords[kind]; words != "" {
				t.line("%s", words)
			}
		case key, ok := <-digits:
			if !ok {
				digits = nil
			} else {
				t.line("digit %c", key)
			}
		}
	}
}

func (t *teller) report(r Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.json {
		json.NewEncoder(t.out).Encode(r)
		return
	}
	r.Write(t.out)
}
