package phone

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/roomline/roomline/media"
)

func TestSources(t *testing.T) {
	beep := filepath.Join("testdata", "beep.wav")
	tests := map[string]struct {
		once  bool
		freq  float64
		level float64
		ends  int // samples; 0: never
	}{
		"tone:440":     {false, 440, -20, 0},
		"tone:440@-12": {true, 440, -12, 0},
		beep:           {true, 800, -23, 2400},
		"speech":       {true, 0, 0, len(media.Speech())},
	}
	for text, tt := range tests {
		s, err := ParseSource(text, tt.once)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		total, first, pcm := 0, []int16(nil), make([]int16, 160)
		for total < 20*media.NarrowbandHz {
			n := s.Read(pcm)
			total += n
			if len(first) < 1600 {
				first = append(first, pcm[:n]...)
			}
			if n < len(pcm) {
				break
			}
		}
		if tt.ends != 0 && total != tt.ends {
			t.Errorf("%s ends after %d samples, want %d", text, total, tt.ends)
		}
		if tt.freq != 0 && math.Abs(media.ToneLevel(first[:1600], media.NarrowbandHz, tt.freq)-tt.level) > 1 {
			t.Errorf("%s: %v Hz at %.1f dBov", text, tt.freq, media.ToneLevel(first[:1600], media.NarrowbandHz, tt.freq))
		}
	}
	if s, err := ParseSource("silence", false); s != nil || err != nil {
		t.Errorf("silence is %v, %v", s, err)
	}
}

func TestRecordingsRepeat(t *testing.T) {
	s := Recording([]int16{1, 2, 3}, true)
	pcm := make([]int16, 8)
	if n := s.Read(pcm); n != 8 || pcm[7] != 2 {
		t.Errorf("%d samples: %v", n, pcm)
	}
	if n := Recording(nil, true).Read(pcm); n != 0 {
		t.Errorf("an empty recording has %d samples", n)
	}
}

func TestEmptyWAV(t *testing.T) {
	name := filepath.Join(t.TempDir(), "empty.wav")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := media.WriteWAV(f, nil, media.NarrowbandHz); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := ParseSource(name, false); err == nil {
		t.Error("a file without sound was taken")
	}
}

func TestTargets(t *testing.T) {
	for in, want := range map[string]string{
		"sip:lobby@127.0.0.1:5060":              "sip:lobby@127.0.0.1:5060",
		" lobby@host.example ":                  "sip:lobby@host.example",
		"SIP:lobby@[2001:db8::1]:5062":          "sip:lobby@[2001:db8::1]:5062",
		"sip:+15551234@192.0.2.1;transport=tcp": "sip:+15551234@192.0.2.1;transport=tcp",
		"lobby@127.0.0.1:5060":                  "sip:lobby@127.0.0.1:5060",
		"":                                      "",
		"lobby":                                 "",
		"sip:@host":                             "",
		"sips:lobby@host.example":               "",
		"tel:+15551234":                         "",
	} {
		got, err := parseTarget(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
}
