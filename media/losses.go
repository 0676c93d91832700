package media

// A packet may be late by lossDepth numbers and still counts as received: 640 ms of
// 20 ms packets. A jump of lossJump numbers or more, either way, is a
// stream that numbers anew (MAX_DROPOUT of RFC 3550 appendix A.1).
const (
	lossDepth = 32
	lossJump  = 3000
)

// Losses follows which packets of a stream never came, and whether they are
// missing one by one or in runs. A packet's fate is settled 32 numbers later, so that reordering is not taken for loss; a packet that came twice counts
// once. The zero value waits for the first packet. It allocates nothing, and is
// not safe for concurrent use.
type Losses struct {
	received, lost, runs uint64

	started bool
	highest uint16 // sequence number
	came    uint32 // bit n: highest-n has come
	open    int    // how many of the bits stand for packets of the stream
	missing bool   // the last settled packet is lost
}

// Add notes a packet by its RTP sequence number.
func (l *Losses) Add(sequence uint16) {
	ahead, late := sequence-l.highest, l.highest-sequence
	switch {
	case l.started && ahead < lossJump:
		l.advance(int(ahead))
		l.highest = sequence
		l.came |= 1
	case l.started && late < lossJump:
		if int(late) < l.open {
			l.came |= 1 << late
		}
	default:
		l.Restart()
		l.started, l.highest, l.came, l.open = true, sequence, 1, 1
	}
}

// Restart settles what is open: the next packet's number has nothing to do with
// those before it.
func (l *Losses) Restart() {
	if l.started {
		l.advance(lossDepth)
		l.started = false
	}
}

// advance moves the window up by n numbers.
func (l *Losses) advance(n int) {
	for range min(n, lossDepth) {
		if l.open == lossDepth {
			l.settle(l.came>>(lossDepth-1) == 1)
		} else {
			l.open++
		}
		l.came <<= 1
	}
	if beyond := n - lossDepth; beyond > 0 { // numbers that were never in the window
		l.settle(false)
		l.lost += uint64(beyond - 1)
	}
}

func (l *Losses) settle(came bool) {
	switch {
	case came:
		l.received++
	case !l.missing:
		l.runs++
		fallthrough
	default:
		l.lost++
	}
	l.missing = !came
}

// Pattern returns what is settled so far.
func (l *Losses) Pattern() LossPattern { return LossPattern{l.received, l.lost, l.runs} }

// LossPattern is how many packets came and were lost, and in how many runs. The
// difference of two patterns of one stream is the pattern of the time between.
type LossPattern struct{ Received, Lost, Runs uint64 }

// Plus adds the pattern of another stream, or of another time.
func (p LossPattern) Plus(q LossPattern) LossPattern {
	return LossPattern{p.Received + q.Received, p.Lost + q.Lost, p.Runs + q.Runs}
}

// Since returns the pattern of the time since before.
func (p LossPattern) Since(before LossPattern) LossPattern {
	return LossPattern{less(p.Received, before.Received), less(p.Lost, before.Lost), less(p.Runs, before.Runs)}
}

// less is a-b, and 0 where a counter has been taken back.
func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// BurstRatio is BurstR of ITU-T G.107: the mean length of the runs of loss that
// were seen, against 1/(1-loss), which loss at random has. It is 1 for random loss,
// more where losses come together, and 0 while nothing was lost. Less than 1, which
// few or regular losses give, is taken as 1.
func (p LossPattern) BurstRatio() float64 {
	if p.Lost == 0 {
		return 0
	}
	mean := float64(p.Lost) / float64(max(1, p.Runs))
	return max(1, mean*float64(p.Received)/float64(p.Received+p.Lost))
}
