package bench

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Report is what a run found. Delays are in milliseconds, processor time in
// milliseconds per call-second: one second of one call's sound in both directions.
type Report struct {
	Calls        Calls   `json:"calls"`
	Room         string  `json:"room"`
	RoomCodec    string  `json:"room_codec"` // what the caller's sound is sent into the room as
	WindowS      float64 `json:"window_s"`
	Engine       string  `json:"engine"` // of the gateway: what its metrics say, else that of this program
	Complexity   int     `json:"complexity"`
	Bitrate      int     `json:"bitrate"`       // asked of the gateway
	BitrateHeard int     `json:"bitrate_heard"` // of Opus payloads that came from it
	RoomBitrate  int     `json:"room_bitrate"`  // of Opus payloads that came from the rooms
	RoomRate     int     `json:"room_rate"`     // Hz that those were encoded at

	CPU         CPU           `json:"cpu_ms_per_call_second"`
	PhoneToRoom Direction     `json:"phone_to_room"`
	RoomToPhone Direction     `json:"room_to_phone"`
	Agents      *AgentFigures `json:"agents,omitempty"` // rooms of agents
	Memory      Memory        `json:"memory"`
	Goroutines  Growth        `json:"goroutines"`
	Runtime     Runtime       `json:"runtime"`
	BufferMS    Spread        `json:"jitter_buffer_ms"` // by call, at the end of the window
	Generator   Generator     `json:"generator"`
	Machine     Machine       `json:"machine"`
	Notes       []string      `json:"notes,omitempty"` // what to know before quoting a figure

	from, to     weight // the window
	toDecode     *sound // the Opus that came from the rooms, if any did
	idleStarters map[string]int
	scrape       float64 // allocations of asking the gateway for its metrics
}

// Calls counts how the calls were set up.
type Calls struct {
	Asked    int     `json:"asked"`
	Answered int     `json:"answered"`
	Failed   int     `json:"failed"`
	SetupMS  Spread  `json:"setup_ms"`         // INVITE to answer
	CPUMS    float64 `json:"setup_cpu_ms"`     // gateway's, per call, room leg included
	Alive    int     `json:"alive_at_the_end"` // both sides still receiving
}

// CPU splits the gateway's processor time. Overhead is what is left of it when
// the codec and a relay that does nothing but receive and send are taken away.
type CPU struct {
	Gateway  float64 `json:"gateway"`
	Codec    float64 `json:"codec_alone"`
	Relay    float64 `json:"relay_alone"`
	Overhead float64 `json:"overhead"`
	Cores    float64 `json:"cores_busy"`      // of the whole gateway in the window
	Idle     float64 `json:"cores_busy_idle"` // without a call
	EncodeUS float64 `json:"encode_us_per_frame"`
	DecodeUS float64 `json:"decode_us_per_frame"` // of the rooms' packets
}

// Direction is one way through the gateway. Added is from the write of a packet
// to the arrival of its sound: Transit, the packet's own way through sockets and
// gateway, and Codec, by how much the sound lies later in the packet that came
// out than in the one that went in.
type Direction struct {
	Added       Spread  `json:"added_delay_ms"`
	Transit     Spread  `json:"transit_ms"`
	CodecMS     float64 `json:"codec_ms"`
	RelayMS     Spread  `json:"relay_alone_transit_ms"`
	Sent        int     `json:"packets_sent"`
	Lost        int     `json:"packets_lost"`
	LossPercent float64 `json:"loss_percent"`
	Unmatched   int     `json:"packets_unmatched"` // arrived, but not known as which
	Marks       int     `json:"marks_heard"`       // tone onsets that tied what came out to what went in
	Unmarked    int     `json:"streams_unmarked"`  // streams in which none was heard: their delay is not known
}

// Spread is a distribution. All fields are 0 when N is.
type Spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Memory is the gateway's resident memory. A leg is a phone with its room, and
// who else is in it.
type Memory struct {
	IdleMB   float64 `json:"rss_idle_mb"`
	BusyMB   float64 `json:"rss_busy_mb"`
	PerLegMB float64 `json:"per_leg_mb"`
}

// Growth is a count of goroutines before the calls and during them. Ours are
// those that code of this repository started.
type Growth struct {
	Idle      float64   `json:"idle"`
	Busy      float64   `json:"busy"`
	PerLeg    float64   `json:"per_leg"`
	Ours      float64   `json:"ours_per_leg"`
	Libraries float64   `json:"libraries_per_leg"`
	Starters  []Starter `json:"started_by,omitempty"`
}

// Generator says whether the load generator kept up.
type Generator struct {
	LateMS        Spread  `json:"late_ms"` // packets behind their time
	Cores         float64 `json:"cores_busy"`
	UDPErrors     int64   `json:"udp_receive_errors"` // packets that the kernel dropped, of the whole machine
	ToGatewayLoss float64 `json:"reported_loss_percent"`
}

func thisMachine() Machine {
	return Machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
}

// Machine is where it ran.
type Machine struct {
	CPUs       int     `json:"cpus"`
	OtherCores float64 `json:"other_cores_busy"` // by programs that are not ours

	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

func newReport(o Options) *Report {
	r := &Report{
		Room: o.Room, RoomCodec: o.heardInRoom().String(), WindowS: o.Duration.Seconds(), Engine: transcode.Engine(),
		Complexity: o.Complexity, Bitrate: o.Bitrate,
		Machine: thisMachine(),
	}
	r.Calls.Asked = o.Calls
	if o.Binary != "" {
		r.Engine = "unknown" // unless its metrics say
	}
	return r
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// spread sorts values, which are in milliseconds.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	at := func(p float64) float64 { return round(values[int(p*float64(len(values)-1))]) }
	return Spread{N: len(values), P50: at(0.50), P99: at(0.99), Max: at(1)}
}

// round keeps three decimals: microseconds.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// conclude computes what follows from the rest and warns of weak figures.
func (r *Report) conclude() {
	c := &r.CPU
	c.Overhead = round(c.Gateway - c.Codec - c.Relay)
	if r.Calls.Failed > 0 {
		r.note("%d of %d calls were not answered; figures are per answered call", r.Calls.Failed, r.Calls.Asked)
	}
	if r.Calls.Alive < r.Calls.Answered {
		r.note("%d of %d calls had fallen silent at the end of the window", r.Calls.Answered-r.Calls.Alive, r.Calls.Answered)
	}
	if r.PhoneToRoom.Lost+r.RoomToPhone.Lost > 0 {
		r.note("packets were lost: do not quote the processor time of this run")
	}
	if n := r.PhoneToRoom.Unmarked + r.RoomToPhone.Unmarked; n > 0 {
		r.note("%d streams brought no tone that could be recognised: their packets count as unmatched", n)
	}
	if r.Generator.LateMS.P99 > 5 {
		r.note("the load generator was late by %.1f ms (p99): delays hold its own waiting too", r.Generator.LateMS.P99)
	}
	if r.Engine != transcode.Engine() {
		r.note("the codec alone is %s, the engine of this program", transcode.Engine())
	}
	if r.Machine.OtherCores > 0.2 {
		r.note("other programs kept %.1f processors busy: nothing here is better than they let it be", r.Machine.OtherCores)
	}
	if r.Memory.PerLegMB < 0 {
		r.note("memory of the start had not been given back when the calls came: take more calls for a figure per leg")
	}
	if r.Generator.Cores+c.Cores > 0.9*float64(r.Machine.CPUs) {
		r.note("generator and gateway together kept %.1f of %d processors busy: delays hold waiting for one", r.Generator.Cores+c.Cores, r.Machine.CPUs)
	}
	if r.RoomCodec != media.Opus.String() {
		r.note("no Opus on this road: the codec alone is what a browser in the room would cost")
		c.Overhead = round(c.Gateway - c.Relay)
	}
}

// Summary writes the report for a person to read.
func (r *Report) Summary(w io.Writer) {
	c := r.CPU
	fmt.Fprintf(w, "\n%d of %d calls answered (set-up p50 %.0f ms, p99 %.0f ms), measured for %.0f s; in each room: %s, %s\n",
		r.Calls.Answered, r.Calls.Asked, r.Calls.SetupMS.P50, r.Calls.SetupMS.P99, r.WindowS, r.Room, r.RoomCodec)
	fmt.Fprintf(w, "engine %s, complexity %d, %d bit/s asked, %d sent by the gateway; rooms send %d bit/s encoded at %d Hz\n",
		r.Engine, r.Complexity, r.Bitrate, r.BitrateHeard, r.RoomBitrate, r.RoomRate)
	fmt.Fprintf(w, "\n  CPU per call-second   %6.2f ms   = codec alone %.2f + relay alone %.2f + the rest %.2f   (%.2f processors busy)\n",
		c.Gateway, c.Codec, c.Relay, c.Overhead, c.Cores)
	r.PhoneToRoom.summary(w, "phone → room")
	r.RoomToPhone.summary(w, "room → phone")
	if a := r.Agents; a != nil {
		fmt.Fprintf(w, "  marks are told        %6.2f ms p50, %.2f ms p99, %.2f ms at most after their sound (%d); clear is heard after %.1f ms p99 (%d)\n",
			a.MarkErrorMS.P50, a.MarkErrorMS.P99, a.MarkErrorMS.Max, a.MarkErrorMS.N, a.ClearMS.P99, a.ClearMS.N)
	}
	fmt.Fprintf(w, "  memory                %6.2f MB per leg   (%.0f MB idle, %.0f MB busy), %.1f goroutines per leg, %.1f of them ours\n",
		r.Memory.PerLegMB, r.Memory.IdleMB, r.Memory.BusyMB, r.Goroutines.PerLeg, r.Goroutines.Ours)
	fmt.Fprintf(w, "  per packet            %6.3f allocations, %.2f wake-ups, %.2f preemptions; garbage takes %.1f %% of the CPU, jitter buffers hold %.0f ms (p50)\n",
		r.Runtime.AllocsPerPacket, r.Runtime.WakeupsPerPacket, r.Runtime.SwitchesPerPacket, r.Runtime.GCPercent, r.BufferMS.P50)
	fmt.Fprintf(w, "  load generator        late by p99 %.1f ms, %.2f processors busy, %d packets dropped by the kernel; other programs keep %.1f processors busy\n",
		r.Generator.LateMS.P99, r.Generator.Cores, r.Generator.UDPErrors, r.Machine.OtherCores)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

func (d Direction) summary(w io.Writer, name string) {
	if d.Sent == 0 {
		return
	}
	fmt.Fprintf(w, "  added, %-14s %6.2f ms p50, %.2f ms p99   = transit %.2f / %.2f (a relay alone: %.2f / %.2f) + codec %.2f; lost %.3f %% of %d\n",
		name, d.Added.P50, d.Added.P99, d.Transit.P50, d.Transit.P99, d.RelayMS.P50, d.RelayMS.P99, d.CodecMS, d.LossPercent, d.Sent)
}
