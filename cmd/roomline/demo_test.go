package main

import (
	"context"
	"log/slog"
	"testing"
)

func TestDemoVerifiesItself(t *testing.T) {
	c := &demoCommand{Once: true, HTTP: "127.0.0.1:0"}
	if err := c.Run(&bound{ctx: context.Background(), log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
}
