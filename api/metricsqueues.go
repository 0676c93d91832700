package api

import "github.com/prometheus/client_golang/prometheus"

// How long people wait for people, by queue.
var (
	descQueueWaiting  = prometheus.NewDesc("roomline_queue_waiting", "Calls that wait in a queue.", []string{"queue"}, nil)
	descQueueLongest  = prometheus.NewDesc("roomline_queue_longest_wait_seconds", "How long who has waited for longest has.", []string{"queue"}, nil)
	descQueueWatching = prometheus.NewDesc("roomline_queue_watching", "People who look at a queue and may accept.", []string{"queue"}, nil)
	descQueueLeft     = prometheus.NewDesc("roomline_queue_calls_total",
		"Calls that have left a queue: accepted, abandoned, timeout, nobody, full, transferred or withdrawn.", []string{"queue", "outcome"}, nil)
	descQueues = []*prometheus.Desc{descQueueWaiting, descQueueLongest, descQueueWatching, descQueueLeft}
)

func (m *metrics) collectQueues(ch chan<- prometheus.Metric) {
	for _, q := range m.exchange.Queues() {
		ch <- prometheus.MustNewConstMetric(descQueueWaiting, prometheus.GaugeValue, float64(q.Waiting), q.Name)
		ch <- prometheus.MustNewConstMetric(descQueueLongest, prometheus.GaugeValue, float64(q.LongestMS)/1000, q.Name)
		ch <- prometheus.MustNewConstMetric(descQueueWatching, prometheus.GaugeValue, float64(q.Watching), q.Name)
		for outcome, n := range q.Left {
			ch <- prometheus.MustNewConstMetric(descQueueLeft, prometheus.CounterValue, float64(n), q.Name, outcome)
		}
	}
}
