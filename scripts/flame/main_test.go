package main

import (
	"strings"
	"testing"
	"time"
)

const traces = `File: roomline
Type: cpu
-----------+-------------------------------------------------------
      30ms   github.com/thesyncim/gopus.(*Encoder).Encode
             github.com/roomline/roomline/bridge.(*Source).Push (inline)
             sync.(*WaitGroup).Go.func1
-----------+-------------------------------------------------------
      1.07s   runtime.futex
             runtime.mcall
-----------+-------------------------------------------------------
`

func TestFlame(t *testing.T) {
	root, err := read(strings.NewReader(traces))
	if err != nil || root.spent != 1100*time.Millisecond {
		t.Fatalf("%v, %v", root, err)
	}
	push := root.calls["roomline/bridge.(*Source).Push"]
	if push == nil || push.calls["thesyncim/gopus.(*Encoder).Encode"].spent != 30*time.Millisecond {
		t.Errorf("%+v", root.calls)
	}
	var b strings.Builder
	draw(&b, root, "a <title>")
	for _, want := range []string{"a &lt;title&gt;", "runtime.futex: 97.3 %", `fill="#fdae6b"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

func TestNoProfileIsRefused(t *testing.T) {
	if _, err := read(strings.NewReader("---------- -\n-----------+--\n  nonsense here\n")); err == nil {
		t.Error("nonsense was read")
	}
}
