package main

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/web/chromium"
)

// TestPicture takes the picture of the README of a real room, when
// ROOMLINE_PICTURE names a file: two phones, two browsers, a camera, two minutes.
//
//	ROOMLINE_PICTURE=$PWD/docs/room.png go test -run TestPicture ./cmd/roomline
func TestPicture(t *testing.T) {
	path := os.Getenv("ROOMLINE_PICTURE")
	if path == "" {
		t.Skip("ROOMLINE_PICTURE names no file to write")
	}
	h := startHouse(t, "")
	dana := h.visits("lobby", "Dana", bridge.RoleDispatcher, true, "", chromium.Saying(conversation(t,
		"what is the address?", "help is on its way", "stay where you are")))
	p := softphone(t, phone.Config{})
	caller, neighbour := h.calls(p, "lobby", phone.DialOptions{From: "+12025550142"}), h.calls(p, "lobby", phone.DialOptions{From: "+12025550178"})
	speech, err := phone.Speech(true)
	if err != nil {
		t.Fatal(err)
	}
	caller.Speak(speech)
	pcm, _ := readWAVFile(t, conversation(t, "I can see them from the window", "the stairs are free"))
	neighbour.Speak(phone.Recording(pcm, true))
	id := dana.arrives("+12025550142").ID
	dana.arrives("+12025550178")
	ines := h.visits("lobby", "Ines", bridge.RoleDispatcher, true, "", chromium.Saying(conversation(t, "we are four minutes away")),
		chromedp.Flag("use-file-for-fake-video-capture", dusk(t)))
	ines.Click(t, "camera")
	dana.Do(t, chromedp.EmulateViewport(1360, 940), chromedp.Click(chromedp.CSS(row(id, "quality"))))
	dana.Wait(t, `(document.querySelector('[data-test="video"] video')?.videoWidth ?? 0) > 0`)
	for _, line := range []struct {
		v    *visitor
		text string
	}{{ines, "Second floor, the stairs are clear."}, {ines, "Crew is four minutes out."}, {dana, "Thank you. Tell them to use the north gate."}} {
		line.v.Do(t, chromedp.Focus(chromium.At("chat-text")), chromedp.KeyEvent(line.text+"\r"))
		dana.Sees(t, "chat-line", line.text)
	}
	dana.Run(t, "document.activeElement.blur()")
	if err := caller.SendDigits(within(t, 10*time.Second), "42"); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Minute) // something to draw
	dana.Wait(t, speaks(id, true))
	png := dana.Screenshot(t)
	if len(png) > 300<<10 {
		t.Errorf("the picture has %d bytes, want at most 300 KiB", len(png))
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// conversation makes a WAV file of sentences with time to answer.
func conversation(t *testing.T, sentences ...string) string {
	t.Helper()
	var pcm []int16
	for _, s := range sentences {
		pcm = append(pcm, make([]int16, media.NarrowbandHz)...)
		pcm = append(pcm, voiced(t, "en-us+f3", s)...)
		pcm = append(pcm, make([]int16, 2*media.NarrowbandHz)...)
	}
	return writeWAVFile(t, pcm, media.NarrowbandHz)
}

// dusk makes a camera's file, a light that crosses hills, in YUV4MPEG2.
func dusk(t *testing.T) string {
	t.Helper()
	const wide, high, frames = 640, 400, 48
	path := filepath.Join(t.TempDir(), "dusk.y4m")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "YUV4MPEG2 W%d H%d F12:1 Ip A1:1 C420jpeg\n", wide, high)
	picture := image.NewYCbCr(image.Rect(0, 0, wide, high), image.YCbCrSubsampleRatio420)
	for n := range frames {
		for y := range high {
			for x := range wide {
				c := duskAt(float64(x), float64(y), float64(n)*wide/frames)
				yy, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
				picture.Y[picture.YOffset(x, y)] = yy
				picture.Cb[picture.COffset(x, y)], picture.Cr[picture.COffset(x, y)] = cb, cr
			}
		}
		fmt.Fprint(w, "FRAME\n")
		w.Write(picture.Y)
		w.Write(picture.Cb)
		w.Write(picture.Cr)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	return path
}

func duskAt(x, y, light float64) color.RGBA {
	hills := []color.RGBA{{0x3d, 0x4a, 0x4a, 255}, {0x26, 0x30, 0x2f, 255}, {0x14, 0x1b, 0x1a, 255}}
	for k := len(hills) - 1; k >= 0; k-- {
		if y > 270+float64(k)*38+26*math.Sin(x/(90-float64(k)*18)+float64(k)*2) {
			return hills[k]
		}
	}
	if math.Hypot(x-light, y-215) < 26 {
		return color.RGBA{0xf6, 0xdf, 0xb4, 255}
	}
	down := min(1, y/280)
	mix := func(a, b float64) uint8 { return uint8(a + (b-a)*down) }
	return color.RGBA{mix(0x27, 0xc9), mix(0x44, 0x8d), mix(0x5c, 0x6a), 255}
}
