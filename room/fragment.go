package room

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomline/roomline/media/webrtc"
)

// fragment is an application/trickle-ice-sdpfrag body, RFC 8840 section 9.
type fragment struct {
	ufrag, pwd string
	candidates []webrtc.Candidate
}

// maxCandidates is how many candidates one fragment may hold.
const maxCandidates = 64

// parseFragment reads a fragment. Lines that are not about ICE are passed over.
func parseFragment(text string) (fragment, error) {
	var f fragment
	mid := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return f, fmt.Errorf("line %d of the fragment is not of the form x=value", i+1)
		}
		attribute, value, _ := strings.Cut(line[2:], ":")
		switch {
		case line[0] != 'a':
		case attribute == "ice-ufrag":
			f.ufrag = value
		case attribute == "ice-pwd":
			f.pwd = value
		case attribute == "mid":
			mid = value
		case attribute == "candidate":
			if len(f.candidates) == maxCandidates {
				return f, fmt.Errorf("more than %d candidates", maxCandidates)
			}
			f.candidates = append(f.candidates, candidateOf(line[2:], mid))
		}
	}
	return f, f.check()
}

func candidateOf(text, mid string) webrtc.Candidate {
	c := webrtc.Candidate{Candidate: text}
	if mid != "" {
		c.SDPMid = &mid
	}
	return c
}

// check holds credentials to RFC 8839 section 5.4.
func (f fragment) check() error {
	if f.ufrag != "" && (len(f.ufrag) < 4 || len(f.ufrag) > 256 || !iceChars(f.ufrag)) {
		return errors.New("ice-ufrag must be 4 to 256 of A-Z a-z 0-9 + /")
	}
	if f.pwd != "" && (len(f.pwd) < 22 || len(f.pwd) > 256 || !iceChars(f.pwd)) {
		return errors.New("ice-pwd must be 22 to 256 of A-Z a-z 0-9 + /")
	}
	return nil
}

func iceChars(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/')
	})
}

// withCredentials is an offer with new ICE credentials, a higher version, and
// without the old candidates: what the client would have sent.
func withCredentials(offer, ufrag, pwd string) string {
	var out []string
	for _, line := range strings.Split(strings.ReplaceAll(offer, "\r\n", "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "a=candidate:"), strings.HasPrefix(line, "a=end-of-candidates"):
			continue
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			line = "a=ice-ufrag:" + ufrag
		case strings.HasPrefix(line, "a=ice-pwd:"):
			line = "a=ice-pwd:" + pwd
		case strings.HasPrefix(line, "o="):
			line = nextVersion(line)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\r\n")
}

// nextVersion counts up sess-version, RFC 8866 section 5.2.
func nextVersion(origin string) string {
	fields := strings.Fields(origin)
	if len(fields) < 3 {
		return origin
	}
	n, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return origin
	}
	fields[2] = strconv.FormatUint(n+1, 10)
	return strings.Join(fields, " ")
}

// fragmentOf cuts the ICE parts of our answer's first m-line out.
func fragmentOf(answer string) string {
	var head, line []string
	inLine := false
	for _, l := range strings.Split(answer, "\r\n") {
		switch {
		case strings.HasPrefix(l, "m="):
			if inLine {
				return strings.Join(append(head, line...), "\r\n") + "\r\n"
			}
			inLine = true
			line = append(line, l)
		case strings.HasPrefix(l, "a=ice-ufrag:"), strings.HasPrefix(l, "a=ice-pwd:"), l == "a=ice-lite":
			head = append(head, l)
		case inLine && (strings.HasPrefix(l, "a=mid:") || strings.HasPrefix(l, "a=candidate:") || l == "a=end-of-candidates"):
			line = append(line, l)
		}
	}
	return strings.Join(append(head, line...), "\r\n") + "\r\n"
}
