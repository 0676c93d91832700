package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/roomline/roomline/media"
)

// gateway is the child process under measurement.
type gateway struct {
	cmd     *exec.Cmd
	folder  string
	sip     string // host:port
	http    string
	metrics string
	key     string
	output  *tail
	ended   chan struct{}
	client  http.Client
}

const (
	readyTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// startGateway starts BINARY serve on free loopback ports with a data folder of
// its own, and waits until it is ready.
func startGateway(ctx context.Context, o Options) (*gateway, error) {
	binary := o.Binary
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		binary = self
	}
	folder, err := os.MkdirTemp("", "roomline-bench-")
	if err != nil {
		return nil, err
	}
	g := &gateway{folder: folder, key: "bench-" + rand.Text(), output: new(tail), ended: make(chan struct{})}
	if err := g.start(binary, o); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	if err := g.waitReady(ctx); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

func (g *gateway) start(binary string, o Options) error {
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	low, err := freeRange(gatewayPorts, 4*o.Calls+100)
	if err != nil {
		return err
	}
	g.sip, g.http, g.metrics = at(0), at(1), at(2)
	args := append([]string{"serve", "--data", g.folder, "--sip", g.sip, "--http", g.http, "--metrics", g.metrics,
		"--webrtc-udp", at(3), "--rtp-ports", fmt.Sprintf("%d-%d", low, low+4*o.Calls+99)}, o.serve...)
	if o.RoomCodec != "" && o.browserCodec() != media.Opus {
		args = append(args, "--webrtc-codecs", o.RoomCodec)
	}
	if text := o.plan; text != "" || o.Room == roomTrunk {
		if text == "" {
			text = trunkPlan
		}
		plan := filepath.Join(g.folder, "bench.yaml")
		if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
			return err
		}
		args = append(args, "--config", plan)
	}
	g.cmd = exec.Command(binary, args...)
	g.cmd.Env = append(childEnv(), "ROOMLINE_ADMIN_KEY="+g.key,
		"ROOMLINE_OPUS_COMPLEXITY="+strconv.Itoa(o.Complexity), "ROOMLINE_OPUS_BITRATE="+strconv.Itoa(o.Bitrate), "ROOMLINE_DRAIN=1s")
	g.cmd.Stdout, g.cmd.Stderr = g.output, g.output
	if err := g.cmd.Start(); err != nil {
		return fmt.Errorf("start %s serve: %w", binary, err)
	}
	go func() {
		defer close(g.ended)
		_ = g.cmd.Wait()
	}()
	return nil
}

// trunkPlan lets calls speak Opus; without a trunk that says so they speak G.711.
const trunkPlan = "trunks:\n  - {name: bench, addresses: [127.0.0.1], codecs: [opus, PCMU]}\n"

// childEnv is this process's environment without settings of the gateway.
func childEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ROOMLINE_") {
			env = append(env, v)
		}
	}
	return env
}

func (g *gateway) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if body, err := g.get(ctx, "http://"+g.metrics+"/readyz"); err == nil {
			return body.Close()
		}
		select {
		case <-g.ended:
			return fmt.Errorf("the gateway ended before it was ready; it said:\n%s", g.output)
		case <-ctx.Done():
			return fmt.Errorf("the gateway was not ready after %s; it said:\n%s", readyTimeout, g.output)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop asks the gateway to end, and insists when it does not.
func (g *gateway) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(stopTimeout):
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
	_ = os.RemoveAll(g.folder)
}

// get returns the body of a successful answer.
func (g *gateway) get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(url, "http://"+g.http) {
		req.Header.Set("Authorization", "Bearer "+g.key)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return resp.Body, nil
}

// token mints a room token for one participant.
func (g *gateway) token(ctx context.Context, room, identity string) (string, error) {
	body, err := json.Marshal(map[string]any{"identity": identity, "role": "dispatcher"})
	if err != nil {
		return "", err
	}
	url := "http://" + g.http + "/v1/rooms/" + room + "/tokens"
	answer, err := g.post(ctx, url, "application/json", g.key, body)
	if err != nil {
		return "", err
	}
	var minted struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(answer, &minted); err != nil || minted.Token == "" {
		return "", fmt.Errorf("POST %s: no token in the answer", url)
	}
	return minted.Token, nil
}

// post sends body and returns the body of a 201.
func (g *gateway) post(ctx context.Context, url, contentType, bearer string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("POST %s: %s: %.300s", url, resp.Status, answer)
	}
	return answer, nil
}

// profile saves a CPU profile of the length of the window to file.
func (g *gateway) profile(ctx context.Context, file string, window time.Duration) error {
	body, err := g.get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", g.metrics, int(window.Seconds())))
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	return errors.Join(err, out.Close())
}

// tail keeps the last 4 KB of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if excess := len(t.text) - 4096; excess > 0 {
		t.text = append(t.text[:0], t.text[excess:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
