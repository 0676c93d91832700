package api

import (
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// metrics is what /metrics shows, in a registry of its own. Labels have few
// values: states, directions, causes, kinds, methods and statuses.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	callsEnded *prometheus.CounterVec
	qualities  callQualities
	exchange   Exchange
	trunks     Trunks // may be nil
	agents     Agents // may be nil

	mu      sync.Mutex
	packets packets // of calls that ended
	shown   packets // the highest shown so far: counters never go back
}

// packets are totals over legs.
type packets struct{ received, sent, lost, discarded uint64 }

func (p *packets) add(q *media.Quality) {
	if q == nil {
		return
	}
	p.received += q.PacketsReceived
	p.sent += q.PacketsSent
	p.lost += q.PacketsLost
	p.discarded += q.Discarded
}

// atLeast raises p to what was shown before.
func (p packets) atLeast(q packets) packets {
	return packets{max(p.received, q.received), max(p.sent, q.sent), max(p.lost, q.lost), max(p.discarded, q.discarded)}
}

// Descriptions of what is read at each scrape.
var (
	descCalls = prometheus.NewDesc("roomline_calls", "Live calls.", []string{"state", "direction"}, nil)
	descLegs  = prometheus.NewDesc("roomline_legs", "Participants of rooms, phones among them.", []string{"kind"}, nil)
	descRooms = prometheus.NewDesc("roomline_rooms", "Open rooms.", nil, nil)
	descTrunk = prometheus.NewDesc("roomline_trunk_registered", "1 while the trunk is registered at its carrier; only trunks that register.", []string{"trunk"}, nil)
	descUp    = prometheus.NewDesc("roomline_trunk_server_up", "1 while the server at this address answers, 0 while it does not; absent while that is not known.", []string{"trunk", "address"}, nil)
	descRTP   = prometheus.NewDesc("roomline_phone_packets_total", "RTP packets of phone legs.", []string{"what"}, nil)
)

// garbageTime adds what the garbage collector takes to what Go tells of itself:
// go_cpu_classes_gc_total_cpu_seconds_total, and of it the time that nobody else wanted.
var garbageTime = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/cpu/classes/gc/(total|mark/idle):`)}

// newMetrics registers everything; portsInUse may be nil.
func newMetrics(s *Server, portsInUse func() int) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		exchange: s.exchange, trunks: s.trunks, agents: s.agents,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomline_http_requests_total", Help: "HTTP requests answered."}, []string{"method", "status"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomline_webhook_deliveries_total", Help: "Attempts to deliver an event."}, []string{"outcome"}),
		callsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomline_calls_ended_total", Help: "Calls that ended."}, []string{"direction", "cause"}),
	}
	m.qualities = newCallQualities(m.registry)
	m.registry.MustRegister(m, m.requests, m.deliveries, m.callsEnded,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(garbageTime)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	if portsInUse != nil {
		gauge("roomline_rtp_ports_in_use", "RTP port pairs in use.", func() float64 { return float64(portsInUse()) })
	}
	if b, ok := s.trunks.(banning); ok {
		gauge("roomline_sip_banned", "Addresses whose SIP packets are dropped.", func() float64 { n, _ := b.BanCount(); return float64(n) })
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "roomline_sip_banned_packets_total", Help: "SIP packets and messages of banned addresses that were dropped."},
			func() float64 { _, dropped := b.BanCount(); return float64(dropped) }))
	}
	if s.backlog != nil {
		gauge("roomline_spool_backlog", "Records that wait for the store.", func() float64 { return float64(s.backlog.Backlog()) })
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "roomline_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": s.version, "go": runtime.Version(), "engine": transcode.Engine()}})
	build.Set(1)
	m.registry.MustRegister(build)
	return m
}

// handler serves the text format.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// answered counts one request; unknown methods share a label.
func (m *metrics) answered(method string, status int) {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		method = "other"
	}
	m.requests.WithLabelValues(method, strconv.Itoa(status)).Inc()
}

// ended counts one call and keeps its packets.
func (m *metrics) ended(c bridge.CDR) {
	m.callsEnded.WithLabelValues(string(c.Direction), string(c.Cause)).Inc()
	m.qualities.add(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.packets.add(c.Quality)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCalls, descLegs, descRooms, descRTP, descTrunk, descUp, descClass} {
		ch <- d
	}
	for _, d := range append(descQueues, descAgents...) {
		ch <- d
	}
	for _, l := range legMeans {
		ch <- l.desc
	}
}

// Collect implements prometheus.Collector: it reads live calls, rooms and trunks.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.collectCalls(ch)
	m.collectTrunks(ch)
	m.collectAgents(ch)
	m.collectQueues(ch)
	rooms := m.exchange.Rooms()
	kinds := map[string]int{"phone": 0, "browser": 0, "whip": 0, "whep": 0, "agent": 0}
	for _, r := range rooms {
		for _, p := range r.Participants {
			kinds[p.Kind]++
		}
	}
	ch <- prometheus.MustNewConstMetric(descRooms, prometheus.GaugeValue, float64(len(rooms)))
	for kind, n := range kinds {
		ch <- prometheus.MustNewConstMetric(descLegs, prometheus.GaugeValue, float64(n), kind)
	}
	collectQuality(ch, rooms)
}

func (m *metrics) collectTrunks(ch chan<- prometheus.Metric) {
	if m.trunks == nil {
		return
	}
	truth := map[bool]float64{true: 1}
	for _, t := range m.trunks.TrunkStates() {
		if t.Registration != "" {
			ch <- prometheus.MustNewConstMetric(descTrunk, prometheus.GaugeValue, truth[t.Registration == "registered"], t.Name)
		}
		seen := map[string]bool{}
		for _, s := range t.Servers {
			if s.State != "unknown" && !seen[s.Address] { // two names may lead to one address
				ch <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, truth[s.State == "up"], t.Name, s.Address)
			}
			seen[s.Address] = true
		}
	}
}

// collectCalls counts live calls, and the packets of live and ended ones.
func (m *metrics) collectCalls(ch chan<- prometheus.Metric) {
	type label struct {
		state     bridge.State
		direction bridge.Direction
	}
	count := map[label]int{}
	for _, state := range []bridge.State{bridge.StateRinging, bridge.StateActive, bridge.StateHeld} {
		count[label{state, bridge.Inbound}], count[label{state, bridge.Outbound}] = 0, 0
	}
	m.mu.Lock()
	total := m.packets
	calls := m.exchange.Calls()
	for _, c := range calls {
		count[label{c.State, c.Direction}]++
		total.add(c.Quality)
	}
	m.shown = total.atLeast(m.shown)
	total = m.shown
	m.mu.Unlock()
	for l, n := range count {
		ch <- prometheus.MustNewConstMetric(descCalls, prometheus.GaugeValue, float64(n), string(l.state), string(l.direction))
	}
	for what, n := range map[string]uint64{"received": total.received, "sent": total.sent, "lost": total.lost, "discarded": total.discarded} {
		ch <- prometheus.MustNewConstMetric(descRTP, prometheus.CounterValue, float64(n), what)
	}
}
