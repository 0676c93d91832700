package bridge

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
)

// callerVoice is the voice of a call's phone.
func callerVoice(t *testing.T, c *Call) *voice {
	v := &voice{t: t, src: c.source, freq: 300, dice: rand.New(rand.NewPCG(1, 2))}
	v.recode(media.PCMU, 160, 8000)
	return v
}

func TestAFillerFollowsATurnThatNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, w := h.served(t, agents, "bot")
		v := callerVoice(t, c)
		v.say(2 * time.Second)
		w.heard(t, usualPatience-200*time.Millisecond)
		if filler, _ := heardOf(w.heard(t, 100*time.Millisecond)); filler {
			t.Error("a filler before the agent's patience is over")
		}
		if filler, _ := heardOf(w.heard(t, 600*time.Millisecond)); !filler {
			t.Error("no filler after the agent's patience")
		}
		a := agents.latest(t, 1)
		a.speaks(time.Second)
		if filler, agent := heardOf(w.heard(t, time.Second)[800:6400]); filler || !agent {
			t.Errorf("filler %v, agent %v, once it speaks", filler, agent)
		}
		if filler, _ := heardOf(w.heard(t, 20*time.Second)); filler {
			t.Error("a filler while it is the caller's turn")
		}
		agents.latest(t, 1)
		v.say(time.Second)
		time.Sleep(leastForgiving / 2)
		v.say(time.Second) // hello?
		time.Sleep(leastForgiving/2 + 3*time.Second)
		agents.latest(t, 2)
		h.over()
	})
}

func TestAnAgentThatSpeaksOverTheCallerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		_, c, w := h.served(t, agents, "bot")
		v := callerVoice(t, c)
		agents.latest(t, 1).speaks(5 * time.Second)
		v.say(time.Second)
		w.heard(t, 5*time.Second)
		if filler, _ := heardOf(w.heard(t, 20*time.Second)); filler {
			t.Error("a filler after the agent has spoken into the caller's words")
		}
		agents.latest(t, 1)
		h.over()
	})
}
