package bench

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestReadVitals(t *testing.T) {
	text := "# HELP x\ngo_goroutines 35\ngo_gc_duration_seconds_count 5\ngo_memstats_mallocs_total 1.5e+06\n" +
		"roomline_build_info{engine=\"gopus\",go=\"go1.26\"} 1\ngo_cpu_classes_gc_total_cpu_seconds_total 0.25\nodd\n"
	want := vitals{engine: "gopus", goroutines: 35, mallocs: 1.5e6, collections: 5, gcSeconds: 0.25}
	if got := readVitals(strings.NewReader(text)); got != want {
		t.Errorf("%+v", got)
	}
}

func TestRuntimeIsPerPacket(t *testing.T) {
	from := weight{cpu: time.Second, vitals: vitals{mallocs: 1000, collections: 2}, switches: switches{voluntary: 10}}
	to := weight{cpu: 3 * time.Second, vitals: vitals{mallocs: 1700, collections: 5, gcSeconds: 0.3, gcIdle: 0.2}, switches: switches{voluntary: 1010, forced: 50}}
	want := Runtime{Packets: 1000, AllocsPerPacket: 0.5, Collections: 3, GCPercent: 5, WakeupsPerPacket: 1, SwitchesPerPacket: 0.05}
	if got := runtimeOf(from, to, 200, 1000); got != want {
		t.Errorf("%+v", got)
	}
}

func TestGoroutinesAreCountedByWhoStartedThem(t *testing.T) {
	dump := `goroutine 1 [select]:
main.run({0x1, 0xb})
	/src/main.go:66 +0x206

goroutine 7 [select]:
github.com/pion/ice/v4.(*Agent).run(0x1)
	/src/agent.go:1 +0x1
created by github.com/pion/ice/v4.NewAgent in goroutine 5
	/src/agent.go:9 +0x9

goroutine 8 [IO wait]:
internal/poll.(*FD).Read(0x1, {0x2, 0x3})
	/go/src/poll.go:1 +0x1
github.com/roomline/roomline/sip.(*UA).read(0x1)
	/src/sip/ua.go:1 +0x1
github.com/roomline/roomline/sip.(*UA).Run.func2(...)
	/src/sip/ua.go:3 +0x1
sync.(*WaitGroup).Go.func1()
	/go/src/sync/waitgroup.go:1 +0x1
created by sync.(*WaitGroup).Go in goroutine 1
	/go/src/sync/waitgroup.go:2 +0x1

goroutine 9 [select]:
net/http.(*conn).serve(0x1)
	/go/src/net/http/server.go:1 +0x1
created by net/http.(*Server).Serve in goroutine 1
	/go/src/net/http/server.go:2 +0x1
`
	got := readStarters(strings.NewReader(dump + "\n" + dump))
	want := map[string]int{"github.com/pion/ice/v4.NewAgent": 2, "github.com/roomline/roomline/sip.(*UA).Run.func2": 2, "net/http.(*Server).Serve": 2}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	var g Growth
	g.share(map[string]int{"net/http.(*Server).Serve": 1}, got, 1)
	if g.Ours != 2 || g.Libraries != 3 || len(g.Starters) != 3 || g.Starters[2].PerCall != 1 {
		t.Errorf("%+v", g)
	}
}
