package chromium

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Evaluate runs a script, and waits for it if it gives a promise.
func Evaluate[T any](t testing.TB, p *Page, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("browser: %.120s: %v", script, err)
	}
	return result
}

// Do takes steps of chromedp.
func (p *Page) Do(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// Run evaluates a script for what it does.
func (p *Page) Run(t testing.TB, script string) {
	t.Helper()
	Evaluate[chromedp.Void](t, p, script)
}

// Wait lets the page look until a condition in JavaScript holds, or its promise does.
func (p *Page) Wait(t testing.TB, condition string) {
	t.Helper()
	p.WaitFor(t, condition, Patience-5*time.Second)
}

// WaitFor is Wait with a patience of its own.
func (p *Page) WaitFor(t testing.TB, condition string, patience time.Duration) {
	t.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const until = Date.now() + %d;
		const look = async () => {
			if (await (%s)) done(true);
			else if (Date.now() > until) done(false);
			else setTimeout(look, 20);
		};
		look();
	})`, patience.Milliseconds(), condition)
	ctx, cancel := context.WithTimeout(p.ctx, patience+5*time.Second)
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

// At is the selector of what a test may rely on: a data-test attribute.
func At(name string) chromedp.CSS { return chromedp.CSS(`[data-test="` + name + `"]`) }

// Click clicks on what has this data-test attribute, once it is shown.
func (p *Page) Click(t testing.TB, name string) {
	t.Helper()
	p.Do(t, chromedp.Click(At(name), chromedp.NodeVisible))
}

// Sees waits until something with this data-test attribute is shown that
// contains a text.
func (p *Page) Sees(t testing.TB, name, text string) {
	t.Helper()
	p.Wait(t, fmt.Sprintf(`[...document.querySelectorAll('%s')].some((n) => n.offsetParent !== null && n.textContent.includes(%q))`, At(name), text))
}

// Screenshot returns what is on the screen, as PNG.
func (p *Page) Screenshot(t testing.TB) []byte {
	t.Helper()
	png, err := p.screenshot()
	if err != nil {
		t.Fatalf("picture: %v", err)
	}
	return png
}

func (p *Page) screenshot() ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// keepPicture leaves a picture of a page whose test failed.
func (p *Page) keepPicture(t testing.TB) {
	if t.Failed() {
		p.Picture(t, strings.ReplaceAll(t.Name(), "/", "-")+".png")
	}
}

// Picture writes what is on the screen to testdata/out, which is not kept in git.
func (p *Page) Picture(t testing.TB, name string) {
	png, err := p.screenshot()
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
