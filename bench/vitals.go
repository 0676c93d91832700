package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Runtime is what the gateway's Go runtime did in the window. A packet is one
// that was sent through the gateway: in on one side, out on the other.
type Runtime struct {
	Packets           int     `json:"packets"`
	AllocsPerPacket   float64 `json:"allocations_per_packet"`
	Collections       int     `json:"garbage_collections"`
	GCPercent         float64 `json:"garbage_percent_of_cpu"` // 0: none, or the metrics do not tell
	WakeupsPerPacket  float64 `json:"wakeups_per_packet"`     // threads that went to sleep, voluntary context switches
	SwitchesPerPacket float64 `json:"preemptions_per_packet"` // threads that had to give way
}

// switches counts how often the threads of a process gave their processor up.
type switches struct{ voluntary, forced int64 }

// vitals are the gateway's own counts, from its metrics; zero where those do not tell.
type vitals struct {
	engine      string
	goroutines  float64
	mallocs     float64
	collections float64
	gcSeconds   float64 // of processor time, with what nobody else wanted
	gcIdle      float64 // what nobody else wanted
}

var engineLabel = regexp.MustCompile(`engine="(\w+)"`)

// scrape reads the metrics.
func (g *gateway) scrape(ctx context.Context) (v vitals) {
	body, err := g.get(ctx, "http://"+g.metrics+"/metrics")
	if err != nil {
		return v
	}
	defer body.Close()
	return readVitals(io.LimitReader(body, 8<<20))
}

func readVitals(metrics io.Reader) (v vitals) {
	into := map[string]*float64{
		"go_goroutines": &v.goroutines, "go_memstats_mallocs_total": &v.mallocs,
		"go_gc_duration_seconds_count": &v.collections, "go_cpu_classes_gc_total_cpu_seconds_total": &v.gcSeconds,
		"go_cpu_classes_gc_mark_idle_cpu_seconds_total": &v.gcIdle,
	}
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			*to, _ = strconv.ParseFloat(value, 64)
		} else if m := engineLabel.FindStringSubmatch(name); m != nil {
			v.engine = m[1]
		}
	}
	return v
}

// runtimeOf says what passed between two weights, of which each cost a scrape
// with that many allocations.
func runtimeOf(from, to weight, scrape float64, packets int) Runtime {
	r := Runtime{Packets: packets, Collections: int(to.vitals.collections - from.vitals.collections)}
	if packets == 0 {
		return r
	}
	per := func(n float64) float64 { return round(max(n, 0) / float64(packets)) }
	r.AllocsPerPacket = per(to.vitals.mallocs - from.vitals.mallocs - scrape)
	r.WakeupsPerPacket = per(float64(to.switches.voluntary - from.switches.voluntary))
	r.SwitchesPerPacket = per(float64(to.switches.forced - from.switches.forced))
	if spent := (to.cpu - from.cpu).Seconds(); spent > 0 {
		garbage := to.vitals.gcSeconds - to.vitals.gcIdle - from.vitals.gcSeconds + from.vitals.gcIdle
		r.GCPercent = round(100 * garbage / spent)
	}
	return r
}

// buffers asks the gateway what its jitter buffers hold of each live call, in ms.
func (g *gateway) buffers(ctx context.Context) (ms []float64, err error) {
	for next := ""; ; {
		body, err := g.get(ctx, "http://"+g.http+"/v1/calls?limit=100&cursor="+next)
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []struct {
				Quality *struct {
					BufferMS float64 `json:"buffer_ms"`
				} `json:"quality"`
			} `json:"items"`
			Next string `json:"next"`
		}
		err = json.NewDecoder(body).Decode(&page)
		_ = body.Close()
		if err != nil {
			return nil, err
		}
		for _, c := range page.Items {
			if c.Quality != nil {
				ms = append(ms, c.Quality.BufferMS)
			}
		}
		if next = page.Next; next == "" {
			return ms, nil
		}
	}
}
