package media

// Reported adds up what the peer's reception reports say about one stream of ours,
// from the first of them on. The zero value waits for it. It is not safe for
// concurrent use.
type Reported struct {
	started              bool
	highest              uint32 // extended sequence number
	lost                 uint32 // signed 24 bits, made positive
	sumExpected, sumLost uint64
}

// Add takes the extended highest sequence number and the cumulative number of
// packets lost of a report, RFC 3550 section 6.4.1. Late and odd reports change
// nothing.
func (r *Reported) Add(highest, lost uint32) {
	if lost >= 1<<23 { // below zero: more came than was sent
		lost = 0
	}
	if !r.started {
		r.started, r.highest, r.lost = true, highest, lost
		return
	}
	expected := highest - r.highest
	if expected == 0 || expected >= 1<<16 { // a report covers seconds
		return
	}
	r.sumExpected += uint64(expected)
	if lost > r.lost {
		r.sumLost += uint64(min(lost-r.lost, expected))
	}
	r.highest, r.lost = highest, lost
}

// Sums returns how many packets were expected and lost there between the first
// report and the last.
func (r *Reported) Sums() (expected, lost uint64) { return r.sumExpected, r.sumLost }
