package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// asAgent is the environment variable that makes the test binary be an agent: a
// program of its own that speaks Twilio's protocol at an address, and a tone.
const asAgent = "ROOMLINE_TEST_AS_AGENT"

// agentThinks is for how long an agent says nothing at the start.
const agentThinks = 400 * time.Millisecond

// agentProgram is such a program.
type agentProgram struct {
	t    *testing.T
	addr string
	hz   float64
	run  *program
}

// startAgent starts an agent that speaks a tone of so many Hz.
func startAgent(t *testing.T, hz float64) *agentProgram {
	t.Helper()
	addr, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	a := &agentProgram{t: t, addr: addr, hz: hz}
	a.start()
	return a
}

// url is where the gateway finds it.
func (a *agentProgram) url() string { return "ws://" + a.addr + "/media" }

// start runs it, for the first time or again at the same address.
func (a *agentProgram) start() {
	a.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %g", asAgent, a.addr, a.hz))
	a.run = startCommand(a.t, c)
	eventually(a.t, "an agent listens", 10*time.Second, func() bool {
		conn, err := net.Dial("tcp", a.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// signal sends it one.
func (a *agentProgram) signal(s os.Signal) {
	a.t.Helper()
	if err := a.run.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// beAgent is the program.
func beAgent(settings string) {
	addr, hz, _ := strings.Cut(settings, " ")
	freq, err := strconv.ParseFloat(hz, 64)
	if err == nil {
		err = http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveTone(w, r, freq) }))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serveTone serves one call: it takes what it is sent, and speaks in real time.
func serveTone(w http.ResponseWriter, r *http.Request, hz float64) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	var speaking sync.WaitGroup
	defer speaking.Wait()
	defer cancel()
	for {
		_, text, err := conn.Read(ctx)
		var m struct{ Event, StreamSID string }
		if err != nil || json.Unmarshal(text, &m) != nil || m.Event == "stop" {
			return
		}
		if m.Event == "start" {
			speaking.Go(func() { speakTone(ctx, conn, m.StreamSID, hz) })
		}
	}
}

// speakTone sends 20 ms of tone every 20 ms.
func speakTone(ctx context.Context, conn *websocket.Conn, stream string, hz float64) {
	enc, err := transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.OpusSettings{})
	if err != nil {
		return
	}
	defer enc.Close()
	voice := media.Sine(hz, media.NarrowbandHz, -20)
	pcm, sound := make([]int16, media.FrameSamples), make([]byte, media.FrameSamples)
	time.Sleep(agentThinks)
	beat := time.NewTicker(media.FrameDuration)
	defer beat.Stop()
	for {
		voice.Fill(pcm)
		if _, err := enc.Encode(pcm, sound); err != nil {
			return
		}
		text, _ := json.Marshal(map[string]any{"event": "media", "streamSid": stream, "media": map[string]any{"payload": sound}})
		if conn.Write(ctx, websocket.MessageText, text) != nil {
			return
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}
