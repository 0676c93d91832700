package media

import "time"

// Packing learns how much sound the packets of a stream hold. The zero value knows
// nothing. It is not safe for concurrent use.
type Packing struct {
	started   bool
	sequence  uint16
	timestamp uint32
	units     uint32 // of the RTP clock
}

// Add notes a packet by its sequence number and timestamp.
func (p *Packing) Add(sequence uint16, timestamp uint32) {
	if units := timestamp - p.timestamp; p.started && sequence == p.sequence+1 && units != 0 {
		p.units = units
	}
	p.started, p.sequence, p.timestamp = true, sequence, timestamp
}

// Length returns the sound of the last packet that another one followed, by a clock
// of so many Hz; fallback while that is not known, or was a pause: more than the
// 120 ms that a packet of Opus can hold.
func (p *Packing) Length(clockHz int, fallback time.Duration) time.Duration {
	if p.units == 0 || clockHz == 0 {
		return fallback
	}
	if d := time.Duration(p.units) * time.Second / time.Duration(clockHz); d <= 120*time.Millisecond {
		return d
	}
	return fallback
}
