package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const patience = 20 * time.Second // for anything that a browser does

// page is a tab of a Chromium of its own.
type page struct {
	ctx    context.Context
	mu     sync.Mutex
	faults []string // exceptions, refusals by the policy, failed requests
	hosts  map[string]bool
}

// need ends the test without a tool: a failure under CI, else a skip.
func need(t *testing.T, tool, install string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: %s", tool, install)
	}
	t.Skipf("%s is missing, so this is not tested: %s", tool, install)
	return ""
}

// Microphones that a browser can have.
var (
	fakeMicrophone   = []chromedp.ExecAllocatorOption{chromedp.Flag("use-fake-ui-for-media-stream", true)}
	deniedMicrophone = []chromedp.ExecAllocatorOption{chromedp.Flag("deny-permission-prompts", true)}
)

// browse starts Chromium with a fake microphone and camera.
func browse(t *testing.T, options ...chromedp.ExecAllocatorOption) *page {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(need(t, "chromium", "apt-get install chromium")),
		chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("mute-audio", true),
	)
	return start(t, append(flags, options...))
}

func start(t *testing.T, flags []chromedp.ExecAllocatorOption) *page {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	silent := func(string, ...any) {}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(silent), chromedp.WithLogf(silent))
	p := &page{ctx: ctx, hosts: map[string]bool{}}
	t.Cleanup(func() {
		p.keepPicture(t)
		chromedp.Cancel(ctx)
		cancel()
		stop()
	})
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	call(t, p, network.Enable, network.EnableParams{})
	call(t, p, log.Enable, cdp.Empty{})
	return p
}

// note remembers what must not happen, and which hosts were asked.
func (p *page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception.Description))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			p.faults = append(p.faults, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			p.faults = append(p.faults, fmt.Sprint("console.error: ", string(e.Args[0].Value)))
		}
	case *network.EventRequestWillBeSent:
		_, rest, _ := strings.Cut(e.Request.URL, "://")
		host, _, _ := strings.Cut(rest, "/")
		p.hosts[host] = true
	}
}

// clean fails the test for every fault, and for every foreign host.
func (p *page) clean(t *testing.T, own string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fault := range p.faults {
		t.Errorf("the page is at fault: %s", fault)
	}
	for host := range p.hosts {
		if host != strings.TrimPrefix(own, "http://") {
			t.Errorf("the page asked a foreign host: %s", host)
		}
	}
}

// call sends one command of the protocol.
func call[P, R any](t *testing.T, p *page, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		t.Fatalf("browser: %s: %v", command.Method, err)
	}
	return result
}

// evaluate runs a script, and waits for it if it gives a promise.
func evaluate[T any](t *testing.T, p *page, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("browser: %.120s: %v", script, err)
	}
	return result
}

func (p *page) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// run evaluates a script for what it does.
func (p *page) run(t *testing.T, script string) {
	t.Helper()
	evaluate[chromedp.Void](t, p, script)
}

// wait lets the page look until a condition in JavaScript holds.
func (p *page) wait(t *testing.T, condition string) {
	t.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const until = Date.now() + %d;
		const look = async () => {
			if (await (%s)) done(true);
			else if (Date.now() > until) done(false);
			else setTimeout(look, 20);
		};
		look();
	})`, (patience - 5*time.Second).Milliseconds(), condition)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		held, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		if held {
			return
		}
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "navigated") {
			t.Fatalf("it never came true that %s (%v)", condition, err)
		}
	}
}

// at is the selector of what a test may rely on.
func at(name string) chromedp.CSS { return chromedp.CSS(`[data-test="` + name + `"]`) }

func (p *page) click(t *testing.T, name string) {
	t.Helper()
	p.do(t, chromedp.Click(at(name), chromedp.NodeVisible))
}

// sees waits until something is shown that contains a text.
func (p *page) sees(t *testing.T, name, text string) {
	t.Helper()
	p.wait(t, fmt.Sprintf(`[...document.querySelectorAll('%s')].some((n) => n.offsetParent !== null && n.textContent.includes(%q))`, at(name), text))
}

// keepPicture leaves a picture of a page whose test failed.
func (p *page) keepPicture(t *testing.T) {
	if t.Failed() {
		p.picture(t, strings.ReplaceAll(t.Name(), "/", "-")+".png")
	}
}

// picture writes what is on the screen to testdata/out, which is not kept in git.
func (p *page) picture(t *testing.T, name string) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Logf("picture: %v", err)
		return
	}
	path := filepath.Join("testdata", "out", name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Logf("picture: %v", err)
	}
}

func readTestdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
