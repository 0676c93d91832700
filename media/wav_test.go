package media

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWAVRoundTrip(t *testing.T) {
	pcm := sine(440, -10, 801)
	var b bytes.Buffer
	if err := WriteWAV(&b, pcm, NarrowbandHz); err != nil {
		t.Fatal(err)
	}
	got, rateHz, err := ReadWAV(&b)
	if err != nil || rateHz != NarrowbandHz || !slices.Equal(got, pcm) {
		t.Errorf("read %d samples at %d Hz, %v", len(got), rateHz, err)
	}
}

func TestWAVWriterMatchesWriteWAV(t *testing.T) {
	pcm := sine(440, -10, 800)
	f, err := os.Create(filepath.Join(t.TempDir(), "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWAVWriter(f, NarrowbandHz)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(pcm, 160) {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	WriteWAV(&want, pcm, NarrowbandHz)
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("file of %d bytes differs from %d, %v", len(got), want.Len(), err)
	}
}

// The other program's word: what sox wrote is read, and sox reads what we wrote.
func TestWAVAgreesWithSox(t *testing.T) {
	sox, err := exec.LookPath("sox")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sox is missing: install the Debian package sox")
		}
		t.Skip("sox is missing: install the Debian package sox to run this test")
	}
	dir := t.TempDir()
	raw, ours, theirs := filepath.Join(dir, "a.raw"), filepath.Join(dir, "ours.wav"), filepath.Join(dir, "theirs.wav")
	var b bytes.Buffer
	if err := WriteMuLawWAV(&b, Speech(), NarrowbandHz); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(ours, b.Bytes(), 0o600)
	pcm, _, err := ReadWAV(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []string{"mu-law", "signed-integer", "a-law"} {
		bits := "8"
		if encoding == "signed-integer" {
			bits = "16"
		}
		if out, err := exec.Command(sox, "-D", ours, "-e", encoding, "-b", bits, theirs).CombinedOutput(); err != nil {
			t.Fatalf("sox: %v %s", err, out)
		}
		f, _ := os.Open(theirs)
		got, rateHz, err := ReadWAV(f)
		f.Close()
		if err != nil || rateHz != NarrowbandHz || len(got) != len(pcm) {
			t.Fatalf("%s: %d samples at %d Hz, %v; want %d", encoding, len(got), rateHz, err, len(pcm))
		}
		if encoding != "a-law" && !slices.Equal(got, pcm) {
			t.Errorf("%s: samples differ from what sox decoded", encoding)
		}
		within(t, encoding+" level", Level(got), Level(pcm), 0.05)
	}
	if out, err := exec.Command(sox, "-D", ours, "-e", "signed-integer", "-b", "16", "-L", raw).CombinedOutput(); err != nil {
		t.Fatalf("sox: %v %s", err, out)
	}
	if got, _ := os.ReadFile(raw); !bytes.Equal(got, littleEndian(pcm)) {
		t.Error("sox decodes our µ-law file differently")
	}
}

func TestReadWAVSaysWhatIsWrong(t *testing.T) {
	good := waveHeader(wavePCM, 8000, 4)
	stereo, float, fast := bytes.Clone(good), bytes.Clone(good), bytes.Clone(good)
	stereo[22], float[20], fast[27] = 2, 3, 9
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "not a RIFF/WAVE file"},
		"text":       {[]byte("hello, this is text"), "not a RIFF/WAVE file"},
		"no data":    {good[:38], "no data chunk"},
		"data first": {append([]byte("RIFF\x00\x00\x00\x00WAVE"), "data\x02\x00\x00\x00ab"...), "before the fmt chunk"},
		"stereo":     {stereo, "want mono"},
		"float":      {float, "format 3"},
		"rate":       {fast, "sampling rate"},
	} {
		if _, _, err := ReadWAV(bytes.NewReader(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(append(waveHeader(wavePCM, 8000, 4), 1, 2, 3, 4))
	f.Add(append(waveHeader(waveMuLaw, 8000, 3), 1, 2, 3, 0))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pcm, rateHz, err := ReadWAV(bytes.NewReader(data))
		if err == nil && (rateHz == 0 || len(pcm) > len(data)) {
			t.Errorf("%d samples at %d Hz out of %d bytes", len(pcm), rateHz, len(data))
		}
	})
}
