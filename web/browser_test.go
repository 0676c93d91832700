package web

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/roomline/roomline/web/chromium"
)

const patience = chromium.Patience

func readTestdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
