package room

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// roomPage is the smallest page that speaks our signalling.
const roomPage = `<!doctype html><title>room</title><script>
const seen = {tracks: [], offers: 0, events: [], errors: [], joined: null};
let ws, pc, session;
function say(m) { ws.send(JSON.stringify(m)); }
function connect(first, protocols) {
  ws = new WebSocket("ws://" + location.host + "/v1/rooms/lobby/ws", protocols);
  ws.onopen = () => say(first);
  ws.onmessage = e => handle(JSON.parse(e.data)).catch(x => seen.errors.push(String(x)));
}
async function start(token) {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 160, height: 120}});
  pc = new RTCPeerConnection();
  pc.ontrack = e => {
    seen.tracks.push(e.track.kind + " " + (e.streams[0] || {}).id);
    const player = new Audio();
    player.srcObject = new MediaStream([e.track]);
    player.play().catch(x => seen.errors.push(String(x)));
  };
  pc.ondatachannel = e => e.channel.onmessage = m => seen.events.push(m.data);
  pc.local = stream;
  connect({type: "join", name: "Chromium"}, ["roomline", "roomline.token." + token]);
}
async function handle(m) {
  if (m.type === "joined") { seen.joined = m.participant; session = m.session; }
  if (m.type === "error") seen.errors.push(m.message);
  if (m.type !== "offer") return;
  await pc.setRemoteDescription(m);
  if (!seen.offers++) {
    for (const t of pc.getTransceivers().slice(0, 2)) {
      t.direction = "sendonly";
      await t.sender.replaceTrack(pc.local.getTracks().find(x => x.kind === t.receiver.track.kind));
    }
  }
  await pc.setLocalDescription();
  say({type: "answer", sdp: pc.localDescription.sdp});
}
function drop() { ws.close(); }
function resume() { connect({type: "resume", session}, ["roomline"]); }
async function heard() {
  let n = 0, energy = 0;
  (await pc.getStats()).forEach(s => {
    if (s.type === "inbound-rtp" && s.kind === "audio") { n += s.packetsReceived; energy += s.totalAudioEnergy; }
  });
  return {packets: n, energy, state: pc.connectionState};
}
</script>`

// browse starts a headless Chromium with a fake microphone and camera.
func browse(t *testing.T, configure ...func(*webrtc.Config)) (context.Context, *house) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	switch {
	case testing.Short():
		t.Skip("a browser takes its time")
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("chromium is missing: install the Debian package chromium")
	case err != nil:
		t.Skip("chromium is missing: install the Debian package chromium to run this test")
	}
	h := build(t, fast, configure...)
	mux := http.NewServeMux()
	h.srv.Register(mux)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(roomPage))
	})
	pages := httptest.NewServer(mux)
	t.Cleanup(func() { pages.CloseClientConnections(); pages.Close() })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); cancel() })
	// The first Run owns the browser's life: it must not have a deadline.
	if _, err := chromedp.Run(ctx, chromedp.Navigate(pages.URL+"/page")); err != nil {
		t.Fatal(err)
	}
	return ctx, h
}

// eval runs a script in the page; a promise is waited for.
func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

type figures struct {
	Packets float64
	Energy  float64
	State   string
}

func TestChromiumInTheRoom(t *testing.T) {
	ctx, h := browse(t)
	eval[int](t, ctx, "start("+`"`+h.token(guest("chromium"))+`"`+").then(() => 1)")
	defer func() {
		if errs := eval[[]string](t, ctx, "seen.errors"); len(errs) != 0 {
			t.Errorf("the page met errors: %q", errs)
		}
	}()

	// Its fake microphone and camera reach a Go client, and the other way round;
	// three guests in turn, on one reused line.
	for round, who := range []string{"ann", "bob", "carol"} {
		var mic *webrtc.OutTrack
		p := h.join(guest(who), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
		stop := sync.OnceFunc(beat(mic, tone(t, media.Opus, 440, -20)))
		defer stop()
		kinds := map[media.Codec]bool{}
		for len(kinds) < 2 {
			kinds[wait(t, "Chromium's tracks", p.got).Codec] = true
		}
		if !kinds[media.Opus] {
			t.Errorf("codecs %v", kinds)
		}
		before := eval[figures](t, ctx, "heard()")
		eventually(t, who+" being heard", func() bool {
			now := eval[figures](t, ctx, "heard()")
			return now.State == "connected" && now.Packets > before.Packets+25 && now.Energy > before.Energy
		})
		tracks := eval[[]string](t, ctx, "seen.tracks")
		if last := tracks[len(tracks)-1]; last != "audio "+p.id {
			t.Errorf("round %d: track %q, want of %s", round, last, p.id)
		}
		stop()
		p.say(map[string]any{"type": "leave"})
		p.expect("leave")
	}
	in, out := h.srv.browserOf(eval[string](t, ctx, "seen.joined")).peer.Shortcut()
	if in < 25 || out < 25 {
		t.Errorf("past pion went %d packets from Chromium and %d to it", in, out)
	}
	if lines := eval[int](t, ctx, "pc.getTransceivers().filter(t => t.receiver.track.kind === 'audio').length"); lines != 2 {
		t.Errorf("%d audio lines", lines)
	}
}

func TestChromiumComesBackAfterANetworkLoss(t *testing.T) {
	ctx, h := browse(t)
	var mic *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
	defer beat(mic, tone(t, media.Opus, 440, -20))()
	eval[int](t, ctx, "start("+`"`+h.token(guest("chromium"))+`"`+").then(() => 1)")
	listening := func() bool { return eval[figures](t, ctx, "heard()").Packets > 25 }
	eventually(t, "sound in Chromium", listening)
	id := eval[string](t, ctx, "seen.joined")

	eval[int](t, ctx, "drop(), 1")
	h.cut.Store(true)
	eventually(t, "Chromium being away", func() bool { p, ok := h.participant(id); return ok && p.Away })
	ann.waitState(webrtc.Failed) // the server has given the old paths up as well
	h.cut.Store(false)
	eval[int](t, ctx, "resume(), 1")
	before := eval[figures](t, ctx, "heard()").Packets
	eventually(t, "sound after the loss", func() bool { return eval[figures](t, ctx, "heard()").Packets > before+50 })
	if again := eval[string](t, ctx, "seen.joined"); again != id {
		t.Errorf("came back as %s, was %s", again, id)
	}
	eventually(t, "Chromium being back", func() bool { p, ok := h.participant(id); return ok && !p.Away })
}

// soundStats are what Chromium says about its sound, both ways.
type soundStats struct {
	Sends, Hears     string  // codecs, as MIME types
	Packets          float64 // received
	Concealed, Heard float64 // samples
	Energy           float64
}

func statsOf(t *testing.T, ctx context.Context) soundStats {
	t.Helper()
	return eval[soundStats](t, ctx, `(async () => {
		const s = await pc.getStats(), sound = {Sends: "", Hears: "", Packets: 0, Concealed: 0, Heard: 0, Energy: 0};
		const codec = r => (s.get(r.codecId) || {mimeType: ""}).mimeType;
		s.forEach(r => {
			if (r.kind !== "audio") return;
			if (r.type === "outbound-rtp") sound.Sends = codec(r);
			if (r.type !== "inbound-rtp") return;
			sound.Hears = codec(r); sound.Packets += r.packetsReceived; sound.Energy += r.totalAudioEnergy;
			sound.Concealed += r.concealedSamples; sound.Heard += r.totalSamplesReceived;
		});
		return sound;
	})()`)
}

// enter lets Chromium join the lobby.
func (h *house) enter(ctx context.Context) {
	h.t.Helper()
	eval[int](h.t.(*testing.T), ctx, "start("+"`"+h.token(guest("chromium"))+"`"+").then(() => 1)")
}

// By policy Chromium speaks and hears G.711.
func TestChromiumSpeaksG711ByPolicy(t *testing.T) {
	for name, policy := range map[string][]media.Codec{"alone": {media.PCMU}, "first": {media.PCMU, media.Opus, media.PCMA}} {
		t.Run(name, func(t *testing.T) {
			ctx, h := browse(t, by(policy...))
			phone := h.phone("lobby", media.PCMU)
			defer beat(pusher{phone.mic}, tone(t, media.PCMU, 440, -20))()
			h.enter(ctx)
			eventually(t, "sound in Chromium", func() bool { s := statsOf(t, ctx); return s.Packets > 50 && s.Energy > 0 })
			loud := func(p media.Packet) bool { // its fake microphone beeps
				return p.Codec == media.PCMU && len(p.Payload) == 160 && !bytes.Equal(p.Payload, bytes.Repeat(p.Payload[:1], 160))
			}
			for heard := 0; heard < 5; {
				if loud(wait(t, "Chromium's beeps at the phone", phone.got)) {
					heard++
				}
			}
			if s := statsOf(t, ctx); s.Sends != "audio/PCMU" || s.Hears != "audio/PCMU" {
				t.Errorf("%+v, want PCMU both ways", s)
			}
			if h.sent[111].Load() != 0 || h.came[111].Load() != 0 {
				t.Error("Opus was on the wire")
			}
		})
	}
}

// On a lossy network Chromium repeats its packets and is sent repeated ones, and
// conceals less for it; without loss it costs nothing.
func TestChromiumWithRedundancy(t *testing.T) {
	const (
		red  = 63
		loss = 10 // percent
	)
	concealed := map[webrtc.Redundancy]float64{}
	for _, use := range []webrtc.Redundancy{webrtc.RedundancyOnLoss, webrtc.NoRedundancy} {
		ctx, h := browse(t, func(c *webrtc.Config) { c.Redundancy = use })
		phone := h.phone("lobby", media.PCMU)
		defer beat(pusher{phone.mic}, tone(t, media.PCMU, 440, -20))()
		h.enter(ctx)
		eventually(t, "sound in Chromium", func() bool { return statsOf(t, ctx).Packets > 50 })
		if n, m := h.sent[red].Load(), h.came[red].Load(); n != 0 || m != 0 {
			t.Errorf("without loss %d packets were sent with redundancy, %d came", n, m)
		}
		h.lose.Store(loss)
		if use == webrtc.RedundancyOnLoss {
			eventually(t, "packets repeated by us", func() bool { return h.sent[red].Load() > 50 })
			eventually(t, "packets repeated by Chromium", func() bool { return h.came[red].Load() > 50 })
			eventually(t, "sound recovered from them", func() bool { return quality(h).RecoveredMS > 0 })
		}
		eventually(t, "loss that Chromium reports", func() bool { return quality(h).RemoteLoss > 2 })
		before := statsOf(t, ctx)
		eventually(t, "seven seconds more", func() bool { return statsOf(t, ctx).Heard > before.Heard+7*48000 })
		after := statsOf(t, ctx)
		concealed[use] = 100 * (after.Concealed - before.Concealed) / (after.Heard - before.Heard)
		if use == webrtc.NoRedundancy && h.sent[red].Load()+h.came[red].Load() != 0 {
			t.Error("redundancy that was switched off")
		}
	}
	t.Logf("Chromium conceals %.1f %% with redundancy, %.1f %% without", concealed[webrtc.RedundancyOnLoss], concealed[webrtc.NoRedundancy])
	if with, without := concealed[webrtc.RedundancyOnLoss], concealed[webrtc.NoRedundancy]; with > without/2 {
		t.Errorf("Chromium conceals %.1f %% with redundancy and %.1f %% without at %d %% of loss", with, without, loss)
	}
}

// quality is Chromium's: the phone has no figures.
func quality(h *house) media.Quality {
	for _, r := range h.x.Rooms() {
		for _, p := range r.Participants {
			if p.Quality != nil {
				return *p.Quality
			}
		}
	}
	return media.Quality{}
}
