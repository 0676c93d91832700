package web

import (
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// fastClock makes the page live eight times as fast, so that five minutes of
// quality are drawn in forty seconds.
const fastClock = `{ const real = Date.now.bind(Date), from = real(); Date.now = () => from + (real() - from) * 8; }`

// TestPicture takes the picture of the README, when ROOMLINE_PICTURE names a file.
func TestPicture(t *testing.T) {
	path := os.Getenv("ROOMLINE_PICTURE")
	if path == "" {
		t.Skip("ROOMLINE_PICTURE names no file to write")
	}
	g, p := newGateway(t), browse(t, fakeMicrophone...)
	p.do(t, chromedp.EmulateViewport(1360, 940))
	scheme := os.Getenv("ROOMLINE_PICTURE_SCHEME")
	call(t, p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	call(t, p, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: fastClock})
	s := crowd(t, g, p)
	p.do(t, chromedp.Click(chromedp.CSS(`[data-test="participant"][data-id="ph1"] [data-test="quality"]`)))
	beat := time.NewTicker(125 * time.Millisecond)
	defer beat.Stop()
	for second := range 330 {
		<-beat.C
		s.present(t, everyone(second)...)
	}
	p.wait(t, `document.querySelector('[data-test="participant"][data-id="ph1"]').classList.contains("speaking")`)
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}
