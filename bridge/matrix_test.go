package bridge

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

// roadEnd is a codec with the rate of its sound, and the tone that is said in it.
type roadEnd struct {
	codec  media.Codec
	rateHz int
	tone   float64
}

func (e roadEnd) String() string { return fmt.Sprintf("%s at %d Hz", e.codec, e.rateHz) }

var roadEnds = []roadEnd{
	{media.PCMU, 8000, 437.31}, {media.PCMA, 8000, 641.73}, {media.G722, 16000, 853.17},
	{media.Opus, 8000, 1051.59}, {media.Opus, 16000, 1259.87},
}

// levelStage is a time in which some of them speak, so loud each, and the others
// say silence.
type levelStage struct {
	speak [5]bool
	db    float64
}

const (
	stageTime  = 400 * time.Millisecond
	stageStart = 2 * stageTime // of the first
)

// levelStages are all numbers of speakers, up to most, at levels whose sum stays below
// where the limiter begins, and all their neighbours in turn.
func levelStages(most int) (stages []levelStage) {
	for n := 1; n <= most; n++ {
		for _, db := range []float64{-3.5, -10, -20, -30, -40} {
			db = min(db, -3.5-20*math.Log10(float64(n)))
			for turn := range len(roadEnds) {
				if n == len(roadEnds) && turn > 0 || raceOn && n > 1 && turn != n%len(roadEnds) {
					continue
				}
				s := levelStage{db: db}
				for i := range n {
					s.speak[(turn+i)%len(roadEnds)] = true
				}
				stages = append(stages, s)
			}
		}
	}
	return stages
}

// sample is what one of roadEnds says at a sample of its own. Each stage begins with a
// pause of 60 ms, longer than the last one is heard, and 20 ms in which the tone grows.
func (s levelStage) sample(end, at, rateHz int) float64 {
	grows := min(float64(at%(rateHz*4/10))/float64(rateHz/50)-3, 1)
	if !s.speak[end] || grows < 0 {
		return 0
	}
	return grows * 32768 * math.Pow(10, (s.db+3.0103)/20) * math.Sin(2*math.Pi*roadEnds[end].tone*float64(at)/float64(rateHz))
}

// said is what one of roadEnds says at a sample: nothing before the first stage and after the last.
func said(stages []levelStage, end, at, rateHz int) float64 {
	since := at - int(stageStart.Seconds()*float64(rateHz))
	i := since / int(stageTime.Seconds()*float64(rateHz))
	if since < 0 || i >= len(stages) {
		return 0
	}
	return stages[i].sample(end, at, rateHz)
}

// worstLevel is the largest of what off says of every tone of every stage.
func worstLevel(stages []levelStage, off func(n int, s levelStage, from roadEnd) float64) (worst float64) {
	for n, s := range stages {
		for j, from := range roadEnds {
			if s.speak[j] {
				worst = max(worst, math.Abs(off(n, s, from)))
			}
		}
	}
	return worst
}

// opusAlone is what Opus by itself makes of an ideal mix.
func opusAlone(t *testing.T, stages []levelStage, rateHz int) (pcm []int16) {
	t.Helper()
	enc, err := transcode.NewEncoder(media.Opus, rateHz, transcode.DefaultOpus())
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var packets []media.Packet
	frame := make([]int16, rateHz/50)
	for at := 0; at < int((stageStart+time.Duration(len(stages))*stageTime).Seconds()*float64(rateHz)); at += len(frame) {
		for i := range frame {
			sum := 0.0
			for end := range roadEnds {
				sum += said(stages, end, at+i, rateHz)
			}
			frame[i] = int16(sum)
		}
		out := make([]byte, transcode.MaxPayload)
		n, err := enc.Encode(frame, out)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, media.Packet{Codec: media.Opus, Timestamp: uint32(at * 48000 / rateHz), Payload: out[:n]})
	}
	return decodedAt(t, packets, rateHz)
}

// stageLevel is the level of a tone in the middle of a stage, in sound that began so
// long before the first.
func stageLevel(pcm []int16, stage, rateHz int, before time.Duration, tone float64) float64 {
	from := int((before + time.Duration(stage)*stageTime + stageTime/3).Seconds() * float64(rateHz))
	return media.ToneLevel(pcm[from:from+int(stageTime.Seconds()*float64(rateHz))*3/5], rateHz, tone)
}

// levelsHeard lets some of roadEnds speak through the stages and returns what each of
// them is sent as a listener, and how long before the first stage that begins. What an
// Opus listener gets is coded at 64 kbit/s: at 24 it is the codec that decides.
func levelsHeard(t *testing.T, speakers []int, stages []levelStage) (wires [5]*wire, before [5]time.Duration) {
	t.Helper()
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		x.Opus = transcode.DefaultOpus()
		x.Opus.Bitrate = 64000
		var sinks [len(wires)]*Sink
		for i, e := range roadEnds {
			wires[i] = &wire{}
			sinks[i] = join(t, r, "listener", KindPhone).Listen(wires[i], e.codec, 20*time.Millisecond)
			if e.codec == media.Opus && e.rateHz == 8000 {
				sinks[i].Ask(rtp.Opus{MaxPlaybackHz: 8000})
			}
		}
		time.Sleep(7 * time.Millisecond)
		began := time.Now()
		var talk sync.WaitGroup
		for _, i := range speakers {
			e := roadEnds[i]
			v := newVoiceAt(t, join(t, r, "speaker", KindPhone), e.codec, 0, e.rateHz/50, e.rateHz)
			v.sound = func(at int) int16 { return int16(said(stages, i, at, e.rateHz)) }
			talk.Go(func() { v.say(stageStart + time.Duration(len(stages)+1)*stageTime) })
		}
		talk.Wait()
		for i, k := range sinks {
			if mixed := k.Road() == "mixed"; mixed != (len(speakers) > 1) {
				t.Errorf("%d speakers: the road to %s is %s", len(speakers), roadEnds[i], k.Road())
			}
			before[i] = began.Sub(wires[i].at[0]) + stageStart
		}
	})
	return wires, before
}

// checkLevels compares what each of roadEnds heard with what was said.
func checkLevels(t *testing.T, what string, wires [5]*wire, before [5]time.Duration, stages []levelStage) {
	t.Helper()
	for i, to := range roadEnds {
		packets := wires[i].all()
		continuous(t, packets, uint32(to.codec.ClockRate()/50))
		pcm := decodedAt(t, packets, to.rateHz)
		t.Logf("%s, to %s: off by %.2f dB at most", what, to, worstLevel(stages, func(n int, s levelStage, from roadEnd) float64 {
			off := stageLevel(pcm, n, to.rateHz, before[i], from.tone) - s.db
			if math.Abs(off) > 0.5 {
				t.Errorf("%s, %s to %s: off by %.2f dB in %v", what, from, to, off, s)
			}
			return off
		}))
	}
}

func TestLevelsHoldOnEveryRoadBetweenCodecs(t *testing.T) {
	for i := range roadEnds {
		var stages []levelStage
		for _, s := range levelStages(1) {
			if s.speak[i] {
				stages = append(stages, s)
			}
		}
		wires, before := levelsHeard(t, []int{i}, stages)
		checkLevels(t, "direct", wires, before, stages)
	}
	stages := levelStages(5)
	wires, before := levelsHeard(t, []int{0, 1, 2, 3, 4}, stages)
	checkLevels(t, "mixed", wires, before, stages)
}

// What Opus does to the levels of tones by itself, at 24 kbit/s and without a bridge: it
// keeps that of one, and is not made for several.
func TestOpusAloneKeepsTheLevelOfOneTone(t *testing.T) {
	for _, rateHz := range []int{8000, 16000} {
		for _, most := range []int{1, 5} {
			stages := levelStages(most)
			pcm := opusAlone(t, stages, rateHz)
			off := worstLevel(stages, func(n int, s levelStage, from roadEnd) float64 {
				return stageLevel(pcm, n, rateHz, stageStart, from.tone) - s.db
			})
			t.Logf("up to %d tones at %d Hz: off by %.2f dB", most, rateHz, off)
			if most == 1 && off > 0.5 {
				t.Errorf("one tone at %d Hz: off by %.2f dB", rateHz, off)
			}
		}
	}
}
