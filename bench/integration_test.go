package bench

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// gatewayBinary builds the gateway as users do.
func gatewayBinary(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the bench reads /proc")
	}
	binary := filepath.Join(t.TempDir(), "roomline")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/roomline").CombinedOutput(); err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	return binary
}

// The figures depend on the machine; what does not is asserted: every call is
// answered, every stream is recognised at the far end, Opus looks 6.5 ms ahead.
func TestRealGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts gateways")
	}
	binary := gatewayBinary(t)
	for _, c := range []struct{ room, codec string }{
		{roomBrowser, "opus"}, {roomBrowser, "PCMU"}, {roomWHIP, "opus"}, {roomPhone, ""}, {roomTrunk, ""}, {roomAgent, ""}, {roomNone, ""},
	} {
		room := c.room
		t.Run(room+" "+c.codec, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			r, err := Run(ctx, Options{Calls: 2, Scene: Scene{
				CPS: 20, Duration: 5 * time.Second, Settle: 2 * time.Second,
				Room: room, RoomCodec: c.codec, Complexity: 5, Binary: binary, Log: t.Output(),
			}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Calls.Answered != 2 || r.Calls.Alive != 2 || r.CPU.Gateway <= 0 || r.Goroutines.Busy <= r.Goroutines.Idle {
				t.Errorf("%+v %+v %+v", r.Calls, r.CPU, r.Goroutines)
			}
			if room == roomNone {
				return
			}
			if a := r.Agents; room == roomAgent && (a.MarkErrorMS.N < 10 || a.ClearMS.N != 2) {
				t.Errorf("agents: %+v", *a)
			}
			look := map[string]float64{"opus": 6.5}
			checkDirection(t, "phone to room", r.PhoneToRoom, look[r.RoomCodec])
			checkDirection(t, "room to phone", r.RoomToPhone, 0)
		})
	}
}

func checkDirection(t *testing.T, name string, d Direction, codecMS float64) {
	t.Helper()
	if d.Marks == 0 || d.Unmarked > 0 || d.Sent < 2*5*40 || d.Transit.N == 0 {
		t.Errorf("%s: %+v", name, d)
	}
	if d.CodecMS < codecMS-0.5 || d.CodecMS > codecMS+0.5 {
		t.Errorf("%s: the codec adds %.2f ms, want %.1f", name, d.CodecMS, codecMS)
	}
}
