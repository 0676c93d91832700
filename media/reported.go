package media

// Reported is what the peer's reception reports say about one stream of ours, less
// the numbers that we left out ourselves: sound that was lost before it came to us
// stays a gap towards Opus, and would look like loss on the way to the peer. The
// zero value waits for the first report. It is not safe for concurrent use.
type Reported struct {
	sending bool
	last    uint16 // sequence number that we sent
	skipped uint32 // numbers left out that no report has counted yet

	started       bool
	highest       uint32 // extended sequence number of the last report
	lost          uint32
	percent       float64
	expected, sum uint64
}

// Sent notes the number of a packet of ours.
func (r *Reported) Sent(sequence uint16) {
	switch ahead := sequence - r.last; {
	case !r.sending:
		r.sending, r.last = true, sequence
	case ahead != 0 && ahead < 1<<15:
		r.skipped += uint32(ahead - 1)
		r.last = sequence
	case ahead != 0 && r.skipped > 0: // late: it is not left out after all
		r.skipped--
	}
}

// Add takes the fraction lost, the extended highest sequence number and the
// cumulative number of packets lost of a report, RFC 3550 section 6.4.1. Of a late
// or odd one only the fraction counts.
func (r *Reported) Add(fraction uint8, highest, lost uint32) {
	r.percent = float64(fraction) * 100 / 256
	if lost >= 1<<23 { // signed 24 bits, below zero: more came than was sent
		lost = 0
	}
	if !r.started {
		r.started, r.highest, r.lost, r.skipped = true, highest, lost, 0
		return
	}
	expected := highest - r.highest
	if expected == 0 || expected >= 1<<16 { // a report covers seconds
		return
	}
	gone := min(lost-min(lost, r.lost), expected)
	ours := min(gone, r.skipped)
	r.skipped -= ours
	r.percent = max(0, r.percent-100*float64(ours)/float64(expected))
	r.expected += uint64(expected - ours)
	r.sum += uint64(gone - ours)
	r.highest, r.lost = highest, lost
}

// Percent returns the loss of the last report, 0 to 100.
func (r *Reported) Percent() float64 { return r.percent }

// Sums returns how many packets were expected and lost there between the first
// report and the last.
func (r *Reported) Sums() (expected, lost uint64) { return r.expected, r.sum }

// Heard reports whether there was a report.
func (r *Reported) Heard() bool { return r.started }
