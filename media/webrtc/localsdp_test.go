package webrtc

import (
	"strings"
	"testing"

	"github.com/roomline/roomline/media"
)

func TestLocalSDPPutsFormatsInOrder(t *testing.T) {
	text := func(formats string, lines ...string) string {
		return "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF " + formats + "\r\nc=IN IP4 0.0.0.0\r\n" +
			strings.Join(lines, "\r\n") + "\r\na=sendrecv\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 102\r\na=rtpmap:96 VP8/90000\r\n"
	}
	all := []string{"a=rtpmap:63 RED/48000/2", "a=fmtp:63 111/111", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 stereo=1",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:126 telephone-event/8000", "a=fmtp:126 0-16", "a=rtpmap:8 PCMA/8000"}
	g711 := []media.Codec{media.PCMU, media.Opus}
	for name, c := range map[string]struct {
		formats string
		lines   []string
		wishes  wishes
		want    []string
		not     string
	}{
		"plain Opus first":     {"63 126 8 0 111", all, wishes{sound: DefaultAudio}, []string{"SAVPF 111 63 0 8 126\r\n", "a=fmtp:63 111/111\r\n", "a=fmtp:111 minptime=10;useinbandfec=1\r\n", "a=fmtp:126 0-16\r\n"}, "stereo"},
		"RED first":            {"111 63 126 8 0", all, wishes{sound: DefaultAudio, redundancy: true}, []string{"SAVPF 63 111 0 8 126\r\n"}, "a=ptime"},
		"G.711 first":          {"111 63 126 8 0", all, wishes{sound: g711, redundancy: true}, []string{"SAVPF 0 63 111 126 8\r\nc=IN IP4 0.0.0.0\r\na=ptime:20\r\na=rtpmap:63 RED/48000/2\r\na=fmtp:63 111/111\r\n"}, ""},
		"narrowband":           {"111", []string{"a=rtpmap:111 OPUS/48000/2"}, wishes{sound: DefaultAudio, maxPlaybackHz: 8000}, []string{"a=fmtp:111 minptime=10;useinbandfec=1;maxplaybackrate=8000\r\n"}, ""},
		"other payload types":  {"109 9", []string{"a=rtpmap:109 opus/48000/2", "a=rtpmap:9 red/48000/2"}, wishes{sound: DefaultAudio, redundancy: true}, []string{"SAVPF 9 109\r\n", "a=fmtp:9 109/109\r\n"}, ""},
		"RED around no Opus":   {"63 0", []string{"a=rtpmap:63 red/48000/2", "a=rtpmap:0 PCMU/8000"}, wishes{sound: DefaultAudio}, []string{"SAVPF 63 0\r\n"}, "fmtp:63"},
		"no format, no change": {"", nil, wishes{sound: DefaultAudio}, nil, "fmtp"},
	} {
		in := text(c.formats, c.lines...)
		out := localSDP(in, c.wishes)
		for _, want := range append(c.want, "m=video 9 UDP/TLS/RTP/SAVPF 96 102\r\na=rtpmap:96 VP8/90000\r\n", "v=0\r\na=group:BUNDLE 0 1\r\n") {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
		if c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%s: %q in\n%s", name, c.not, out)
		}
	}
}
