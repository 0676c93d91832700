package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomline/roomline/agent"
)

// How AI voices are doing, by agent.
var (
	descAgentCalls   = prometheus.NewDesc("roomline_agent_calls", "Calls that hold a place in an agent's pool.", []string{"agent"}, nil)
	descAgentLeases  = prometheus.NewDesc("roomline_agent_leases_total", "Places in an agent's pool that were asked for: granted, or refused at once.", []string{"agent", "outcome"}, nil)
	descAgentFaults  = prometheus.NewDesc("roomline_agent_faults_total", "Faults of an agent's workers, on calls and probes.", []string{"agent", "fault"}, nil)
	descAgentStarts  = prometheus.NewDesc("roomline_agent_start_seconds", "From the lease until the agent was ready.", []string{"agent"}, nil)
	descAgentWorkers = prometheus.NewDesc("roomline_agent_workers", "An agent's workers by how they stand: no calls go to those that are not up.", []string{"agent", "state"}, nil)
	descAgents       = []*prometheus.Desc{descAgentCalls, descAgentLeases, descAgentFaults, descAgentStarts, descAgentWorkers}
)

func (m *metrics) collectAgents(ch chan<- prometheus.Metric) {
	if m.agents == nil {
		return
	}
	for _, p := range m.agents.States() {
		ch <- prometheus.MustNewConstMetric(descAgentCalls, prometheus.GaugeValue, float64(p.Calls), p.Agent)
		for outcome, n := range p.Counts.Leases {
			ch <- prometheus.MustNewConstMetric(descAgentLeases, prometheus.CounterValue, float64(n), p.Agent, outcome)
		}
		for fault, n := range p.Counts.Faults {
			ch <- prometheus.MustNewConstMetric(descAgentFaults, prometheus.CounterValue, float64(n), p.Agent, string(fault))
		}
		ch <- starts(p)
		for state, n := range standing(p.Workers) {
			ch <- prometheus.MustNewConstMetric(descAgentWorkers, prometheus.GaugeValue, float64(n), p.Agent, string(state))
		}
	}
}

func starts(p agent.PoolState) prometheus.Metric {
	h := p.Counts.Starts
	buckets := map[float64]uint64{}
	for i, bound := range agent.StartBounds {
		buckets[bound] = h.Buckets[i]
	}
	return prometheus.MustNewConstHistogram(descAgentStarts, h.Count, h.Sum, buckets, p.Agent)
}

// standing counts workers by state; states without any are told as 0.
func standing(workers []agent.WorkerState) map[agent.State]int {
	count := map[agent.State]int{agent.Up: 0, agent.Quarantined: 0, agent.Probing: 0, agent.Draining: 0}
	for _, w := range workers {
		count[w.State]++
	}
	return count
}
