package transcode

// band is one sub-band of ITU-T G.722, an adaptive differential coder at 8 kHz.
// Its state is the same on both ends of a line; the names in capitals are the
// blocks of the Recommendation's section 5. All arithmetic is that of 16-bit
// words with saturation, as the Recommendation prescribes it, so that the codes
// are the same as everybody else's.
type band struct {
	estimate int    // SL, SH: the signal as it was predicted
	zeros    int    // SZ: the part of the prediction from the six zeros
	scale    int    // DET: of the quantizer
	logScale int    // NB
	poles    [2]int // A
	coeffs   [6]int // B
	diffs    [6]int // D, the latest first
	partial  [2]int // P, the latest first
	rebuilt  [2]int // R, the latest first
}

// Where the scale factors begin and end, tables 17 and 18 and block LIMIT.
const (
	lowScale, highScale       = 32, 8
	lowLogLimit, highLogLimit = 18432, 22528
	lowShift, highShift       = 8, 10
)

func newBands() [2]band { return [2]band{{scale: lowScale}, {scale: highScale}} }

// rescale follows the size of the codes: LOGSCL and SCALEL, LOGSCH and SCALEH.
func (b *band) rescale(step, limit, shift int) {
	b.logScale = min(max(b.logScale*127>>7+step, 0), limit)
	scale := logTable[b.logScale>>6&31]
	if n := shift - b.logScale>>11; n >= 0 {
		scale >>= n
	} else {
		scale <<= -n
	}
	b.scale = scale << 2
}

// adapt takes the quantized difference of this sample into the predictor, and
// predicts the next one.
func (b *band) adapt(diff int) {
	rebuilt := sat16(b.estimate + diff)   // RECONS
	partial := sat16(b.zeros + diff)      // PARREC
	second := b.secondPole(partial)       // UPPOL2
	first := b.firstPole(partial, second) // UPPOL1
	b.adaptZeros(diff)
	b.partial = [2]int{partial, b.partial[0]}
	b.rebuilt = [2]int{rebuilt, b.rebuilt[0]}
	b.poles = [2]int{first, second}
	poles := sat16(first*sat16(2*b.rebuilt[0])>>15 + second*sat16(2*b.rebuilt[1])>>15) // FILTEP
	b.estimate = sat16(poles + b.zeros)                                                // PREDIC
}

func (b *band) secondPole(partial int) int {
	lean := sat16(4 * b.poles[0])
	if partial>>15 == b.partial[0]>>15 {
		lean = min(-lean, 32767)
	}
	step := -128
	if partial>>15 == b.partial[1]>>15 {
		step = 128
	}
	return min(max(lean>>7+step+b.poles[1]*32512>>15, -12288), 12288)
}

func (b *band) firstPole(partial, second int) int {
	step := -192
	if partial>>15 == b.partial[0]>>15 {
		step = 192
	}
	limit := sat16(15360 - second)
	return min(max(sat16(step+b.poles[0]*32640>>15), -limit), limit)
}

// adaptZeros is UPZERO, DELAYA and FILTEZ.
func (b *band) adaptZeros(diff int) {
	gain, sum := 128, 0
	if diff == 0 {
		gain = 0
	}
	next := diff
	for i, old := range b.diffs {
		step := gain
		if old>>15 != diff>>15 {
			step = -gain
		}
		coeff := sat16(step + b.coeffs[i]*32640>>15)
		b.coeffs[i], b.diffs[i] = coeff, next
		sum += coeff * sat16(2*next) >> 15
		next = old
	}
	b.zeros = sat16(sum)
}

func sat16(v int) int { return min(max(v, -32768), 32767) }

// lowDecision holds the decision levels of the lower band's quantizer and the
// codes for each interval, below and above zero: tables 14 and 16.
var (
	lowDecision = [29]int{
		35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
		786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
	}
	lowNegative = [30]byte{
		63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19,
		18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
	}
	lowPositive = [30]byte{
		61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47,
		46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
	}
)

// What the codes stand for, as parts of the scale: QM6 for the sound itself,
// QM4, which both ends adapt by, and QM2 for the upper band: tables 15, 19, 20.
var (
	lowSound = [64]int{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	lowCoarse = [16]int{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	highSound = [4]int{-7408, -1616, 7408, 1616}
)

// The steps of the logarithmic scale factors (WL by RL42, WH by RH2), and its
// inverse (ILB).
var (
	lowStep = [16]int{
		-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
	}
	highStep = [4]int{798, -214, 798, -214}
	logTable = [32]int{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
)

// highDecision is the upper band's only decision level.
const highDecision = 564

// mirror holds one phase of the quadrature mirror filter, table 11; the other
// phase is the same backwards.
var mirror = [12]int{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
