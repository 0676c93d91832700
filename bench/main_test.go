package bench

import (
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this test binary be the relay's child process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == RelayCommand {
		calls, err := strconv.Atoi(os.Args[2])
		if err == nil {
			err = Relay{Calls: calls}.Run()
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
