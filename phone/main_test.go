package phone

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 15 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, c Config) *Phone {
	t.Helper()
	p, err := Open(within(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// pair is a call between two phones, answered.
func pair(t *testing.T, from, to Config, o DialOptions) (caller, called *Call) {
	t.Helper()
	ctx := within(t)
	a, b := open(t, from), open(t, to)
	caller, err := a.Call(b.URI("lobby"), o)
	if err != nil {
		t.Fatal(err)
	}
	if called, err = b.Next(ctx); err != nil {
		t.Fatal(err)
	}
	if err := called.Answer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := caller.Answered(ctx); err != nil {
		t.Fatal(err)
	}
	return caller, called
}

// until waits for what has no channel of its own.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("it never happened: %s", what)
		}
	}
}
