// Package chromium drives pages in headless Chromium, for tests alone. It owns
// the browser's process, its flags, and how long a test waits for anything; what
// the pages mean is the tests' affair. The browser ends with the test.
package chromium

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a test waits for anything that a browser does.
const Patience = 20 * time.Second

// Page is a tab of a Chromium of its own. Its methods fail the test that they
// are given.
type Page struct {
	ctx    context.Context
	mu     sync.Mutex
	faults []string // exceptions, refusals by the policy, errors on the console
	hosts  map[string]bool
}

// Option changes how Chromium starts.
type Option = chromedp.ExecAllocatorOption

// FakeMicrophone lets pages have the microphone and the camera without asking.
func FakeMicrophone() Option { return chromedp.Flag("use-fake-ui-for-media-stream", true) }

// DeniedMicrophone refuses them.
func DeniedMicrophone() Option { return chromedp.Flag("deny-permission-prompts", true) }

// Saying lets the fake microphone play a WAV file, again and again. It begins
// when the page opens the microphone.
func Saying(path string) Option { return chromedp.Flag("use-file-for-fake-audio-capture", path) }

// Need ends the test without a tool: a failure under CI, else a skip.
func Need(t testing.TB, tool, install string) string {
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

// Start starts Chromium with a fake microphone and camera, which pages may not
// use before an option says so.
func Start(t testing.TB, options ...Option) *Page {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Need(t, "chromium", "apt-get install chromium")),
		chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("mute-audio", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(flags, options...)...)
	silent := func(string, ...any) {}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(silent), chromedp.WithLogf(silent))
	p := &Page{ctx: ctx, hosts: map[string]bool{}}
	t.Cleanup(func() {
		p.keepPicture(t)
		chromedp.Cancel(ctx)
		cancel()
		stop()
	})
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	Call(t, p, network.Enable, network.EnableParams{})
	Call(t, p, log.Enable, cdp.Empty{})
	return p
}

// note remembers what must not happen, and which hosts were asked.
func (p *Page) note(event any) {
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

// Clean fails the test for every fault of the page, and for every host that it
// asked but its own, which is a URL.
func (p *Page) Clean(t testing.TB, own string) {
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

// Before runs a script in every page that is opened from now on, before its own.
func (p *Page) Before(t testing.TB, script string) {
	t.Helper()
	Call(t, p, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// Open opens a page anew, also when only the fragment differs.
func (p *Page) Open(t testing.TB, url string) {
	t.Helper()
	p.Do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(url))
}

// Call sends one command of the DevTools protocol.
func Call[P, R any](t testing.TB, p *Page, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		t.Fatalf("browser: %s: %v", command.Method, err)
	}
	return result
}
