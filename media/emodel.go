package media

import (
	"math"
	"time"
)

// What ITU-T G.107 (06/2015) gives for its table 3 of default values, which
// describe a plain telephone at both ends. Only delay and loss vary here.
const (
	basicSignalToNoise   = 94.7688 // Ro, equation 7-2
	simultaneousImpaired = 1.4136  // Is, equation 7-8
	noise                = -61.179 // No in dBm0p, equation 7-3
	receiveLoudness      = 2.0     // RLR in dB
	talkerEchoLoudness   = 65.0    // TELR in dB
	weightedEchoPathLoss = 110.0   // WEPL in dB
)

// EModel returns the transmission rating R (0 to 93.2) and MOS (1 to 4.5) of
// ITU-T G.107 for speech that was lost at random (burstR 1, 0 means 1) or in
// bursts (burstR > 1) and takes oneWayDelay from mouth to ear.
func EModel(codec Codec, lossPercent float64, burstR float64, oneWayDelay time.Duration) (r, mos float64) {
	ms := float64(max(0, oneWayDelay)) / float64(time.Millisecond)
	r = basicSignalToNoise - simultaneousImpaired - delayImpairment(ms) - lossImpairment(codec, lossPercent, burstR)
	r = max(0, min(93.2, r))
	return r, opinionScore(r)
}

// lossImpairment is Ie-eff, equation 7-29. BurstR has its range from table 3.
func lossImpairment(codec Codec, percent, burstR float64) float64 {
	impairment, robustness := codec.impairment()
	burstR = max(1, min(8, burstR))
	percent = max(0, min(100, percent))
	return impairment + (95-impairment)*percent/(percent/burstR+robustness)
}

// impairment returns Ie and Bpl.
func (c Codec) impairment() (impairment, robustness float64) {
	if c == Opus {
		// Narrowband Opus at 11 kbit/s CBR and random loss, as measured by Alahmadi,
		// Pocta and Melvin (2021): Ie 2.03, Bpl 15.95. Higher rates are not worse.
		return 2, 16
	}
	// G.711 with concealment, which our decoders always do: ITU-T G.113 appendix I.
	// G.722 has no row on the narrowband scale. It is not worse than G.711 on it,
	// and is concealed alike.
	return 0, 25.1
}

// lookAhead is how much the encoder waits for beyond the packet.
func (c Codec) lookAhead() time.Duration {
	switch c {
	case Opus:
		return 6500 * time.Microsecond // RFC 6716 section 4.2.5 with 5 ms, and 1.5 ms of its filters
	case G722:
		return 1375 * time.Microsecond // 22 samples of its filter bank, ITU-T G.722 section 1
	}
	return 0
}

// delayImpairment is Id = Idte + Idle + Idd, section 7.4, with Ta = T = Tr/2.
func delayImpairment(ms float64) float64 {
	// Talker echo, equations 7-20 to 7-23.
	terv := talkerEchoLoudness - 40*math.Log10((1+ms/10)/(1+ms/150)) + 6*math.Exp(-0.3*ms*ms)
	gap := -1.5*(noise-receiveLoudness) - (80 + 2.5*(terv-14))
	talker := (gap/2 + math.Sqrt(gap*gap/4+100) - 1) * (1 - math.Exp(-ms))
	// Listener echo, equations 7-25 and 7-26.
	gap = basicSignalToNoise - 10.5*(weightedEchoPathLoss+7)*math.Pow(2*ms+1, -0.25)
	listener := gap/2 + math.Sqrt(gap*gap/4+169)
	return talker + listener + absoluteDelayImpairment(ms)
}

// absoluteDelayImpairment is Idd, equations 7-27 and 7-28.
func absoluteDelayImpairment(ms float64) float64 {
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// opinionScore is annex B's MOS for R, which dips below 1 for the smallest R.
func opinionScore(r float64) float64 {
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
