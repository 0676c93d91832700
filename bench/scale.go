package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ScaleOptions say how the largest number of calls is looked for. The tags are
// those of the command line.
type ScaleOptions struct {
	Scene

	From  int           `help:"Calls of the first step." default:"1"`
	To    int           `help:"Calls of the last step, if it gets that far." default:"1000"`
	Near  int           `help:"How near the answer must be, in calls." default:"10"`
	Limit time.Duration `help:"When to stop looking and report what is known." default:"15m"`
}

// What holds, by the measure of the project.
const (
	holdsLoss  = 0.1  // percent; less
	holdsDelay = 20.0 // ms added at p99, either way; less
)

// ScaleReport says how many calls hold and how the cost of one moves with their number.
type ScaleReport struct {
	Room       string  `json:"room"`
	RoomCodec  string  `json:"room_codec"`
	Engine     string  `json:"engine"`
	Complexity int     `json:"complexity"`
	Bitrate    int     `json:"bitrate"`
	Largest    int     `json:"largest_that_holds"` // 0: not even the first step
	Failed     int     `json:"smallest_that_fails"`
	Why        string  `json:"why,omitempty"` // it fails
	Steps      []Step  `json:"steps"`         // in the order of Calls
	Machine    Machine `json:"machine"`
}

// Step is one number of calls. One that does not hold is tried again, since
// other programs may have been in the way; the better try stays.
type Step struct {
	Calls         int     `json:"calls"`
	Holds         bool    `json:"holds"`
	Why           string  `json:"why,omitempty"` // it does not
	Tries         int     `json:"tries"`
	CPU           float64 `json:"cpu_ms_per_call_second"`
	Cores         float64 `json:"cores_busy"`
	Generator     float64 `json:"generator_cores_busy"`
	LateMS        float64 `json:"generator_late_ms_p99"`
	OtherCores    float64 `json:"other_cores_busy"`
	PhoneToRoom   Spread  `json:"phone_to_room_added_ms"`
	RoomToPhone   Spread  `json:"room_to_phone_added_ms"`
	LossPercent   float64 `json:"loss_percent"` // of the worse direction
	Failed        int     `json:"failed"`
	PerLegMB      float64 `json:"memory_per_leg_mb"`
	Allocs        float64 `json:"allocations_per_packet"`
	Wakeups       float64 `json:"wakeups_per_packet"`
	BitrateHeard  int     `json:"bitrate_heard"`
	RoomBitrate   int     `json:"room_bitrate"`
	OursPerLeg    float64 `json:"goroutines_ours_per_leg"`
	LibrariesEach float64 `json:"goroutines_libraries_per_leg"`
}

func (o ScaleOptions) check() (ScaleOptions, error) {
	switch {
	case o.From < 1 || o.To < o.From || o.To > 5000:
		return o, fmt.Errorf("from %d to %d calls: expected 1 to 5000, the first not above the last", o.From, o.To)
	case o.Near < 1:
		return o, fmt.Errorf("near %d: expected 1 call or more", o.Near)
	case o.Limit < time.Second:
		return o, fmt.Errorf("a limit of %s: expected 1s or more", o.Limit)
	}
	all, err := Options{Calls: o.To, Scene: o.Scene}.check()
	o.Scene = all.Scene
	return o, err
}

// RunScale looks for the largest number of calls that holds: more and more until
// it does not, then by halves. When ctx ends, it reports what it has found so far.
func RunScale(ctx context.Context, o ScaleOptions) (*ScaleReport, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	s := &ScaleReport{Room: o.Room, RoomCodec: o.heardInRoom().String(), Complexity: o.Complexity, Bitrate: o.Bitrate, Machine: thisMachine()}
	scaleTitle(o.Log)
	err = s.search(o, func(calls int) (Step, error) { return s.measure(limited, o, calls) })
	if err != nil && (limited.Err() == nil || len(s.Steps) == 0) {
		return nil, err
	}
	slices.SortFunc(s.Steps, func(a, b Step) int { return a.Calls - b.Calls })
	s.summary(o.Log, limited.Err())
	return s, nil
}

// search finds the border between what holds and what does not.
func (s *ScaleReport) search(o ScaleOptions, measure func(calls int) (Step, error)) error {
	try := func(calls int) error {
		step, err := measure(calls)
		if err != nil {
			return err
		}
		s.Steps = append(s.Steps, step)
		switch {
		case step.Holds:
			s.Largest = max(s.Largest, calls)
		default:
			s.Failed, s.Why = calls, step.Why
		}
		return nil
	}
	for calls := o.From; s.Failed == 0; calls = nextStep(calls) {
		if err := try(min(calls, o.To)); err != nil || calls >= o.To {
			return err
		}
	}
	for s.Failed-s.Largest > o.Near && s.Largest > 0 {
		if err := try((s.Failed + s.Largest) / 2); err != nil {
			return err
		}
	}
	return nil
}

// nextStep is 1, 10, 50, 100, 150, 200 …
func nextStep(calls int) int {
	if calls < 10 {
		return 10
	}
	return (calls/50 + 1) * 50
}

// measure tries a number of calls, again if it does not hold.
func (s *ScaleReport) measure(ctx context.Context, o ScaleOptions, calls int) (best Step, err error) {
	for try := 1; try <= 2 && !best.Holds; try++ {
		one := Options{Calls: calls, Scene: o.Scene}
		one.Log = io.Discard
		r := newReport(one)
		if err := r.measureGateway(ctx, one); err != nil {
			return best, errors.Join(err, ctx.Err())
		}
		step := newStep(calls, r)
		step.row(o.Log)
		if try == 1 || step.Holds {
			best = step
		}
		best.Tries, s.Engine = try, r.Engine
	}
	return best, nil
}

func newStep(calls int, r *Report) Step {
	s := Step{
		Calls: calls, CPU: r.CPU.Gateway, Cores: r.CPU.Cores, Generator: r.Generator.Cores, LateMS: r.Generator.LateMS.P99,
		OtherCores: r.Machine.OtherCores, PhoneToRoom: r.PhoneToRoom.Added, RoomToPhone: r.RoomToPhone.Added,
		LossPercent: max(r.PhoneToRoom.LossPercent, r.RoomToPhone.LossPercent), Failed: r.Calls.Failed,
		PerLegMB: r.Memory.PerLegMB, Allocs: r.Runtime.AllocsPerPacket, Wakeups: r.Runtime.WakeupsPerPacket,
		BitrateHeard: r.BitrateHeard, RoomBitrate: r.RoomBitrate, OursPerLeg: r.Goroutines.Ours, LibrariesEach: r.Goroutines.Libraries,
	}
	s.Why = s.breach(r)
	s.Holds = s.Why == ""
	return s
}

// breach says what does not hold, "" if all does.
func (s Step) breach(r *Report) string {
	switch {
	case r.Calls.Failed > 0:
		return fmt.Sprintf("%d calls were not answered", r.Calls.Failed)
	case r.Calls.Alive < r.Calls.Answered:
		return fmt.Sprintf("%d calls had fallen silent", r.Calls.Answered-r.Calls.Alive)
	case s.LossPercent >= holdsLoss:
		return fmt.Sprintf("%.2f %% of the packets were lost", s.LossPercent)
	case s.PhoneToRoom.N == 0 || s.RoomToPhone.N == 0:
		return "no delay could be measured: take a longer --duration"
	case s.PhoneToRoom.P99 >= holdsDelay:
		return fmt.Sprintf("phone → room takes %.0f ms at p99", s.PhoneToRoom.P99)
	case s.RoomToPhone.P99 >= holdsDelay:
		return fmt.Sprintf("room → phone takes %.0f ms at p99", s.RoomToPhone.P99)
	}
	return ""
}

func scaleTitle(w io.Writer) {
	fmt.Fprintln(w, "                                 phone → room    room → phone          memory   load generator    others")
	fmt.Fprintln(w, " calls  CPU ms/call-s   cores     p50     p99     p50     p99   loss %   MB/leg   cores  late p99   cores")
}

func (s Step) row(w io.Writer) {
	verdict := "holds"
	if !s.Holds {
		verdict = s.Why
	}
	fmt.Fprintf(w, "%6d %14.2f %7.2f %7.2f %7.2f %7.2f %7.2f %8.3f %8.2f %7.2f %9.1f %7.2f  %s\n",
		s.Calls, s.CPU, s.Cores, s.PhoneToRoom.P50, s.PhoneToRoom.P99, s.RoomToPhone.P50, s.RoomToPhone.P99,
		s.LossPercent, s.PerLegMB, s.Generator, s.LateMS, s.OtherCores, verdict)
}

// summary writes what was found; stopped is why it ended early, nil if it did not.
func (s *ScaleReport) summary(w io.Writer, stopped error) {
	switch {
	case s.Failed == 0:
		fmt.Fprintf(w, "\n%d calls hold; more were not tried", s.Largest)
	case s.Largest == 0:
		fmt.Fprintf(w, "\nnot even %d calls hold: %s", s.Failed, s.Why)
	default:
		fmt.Fprintf(w, "\n%d calls hold, %d do not: %s", s.Largest, s.Failed, s.Why)
	}
	if stopped != nil {
		fmt.Fprintf(w, " (stopped early)")
	}
	fmt.Fprintln(w)
}
