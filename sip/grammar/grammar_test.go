package grammar

import (
	"slices"
	"strings"
	"testing"
)

const sound = "OPTIONS sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\n" +
	"From: \"B\" <sip:b@example.com>;tag=1\r\nTo: <sip:l@example.com>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n" +
	"Max-Forwards: 70\r\nSubject: one\r\n two\r\nContent-Length: 0\r\n\r\n"

func TestReadUnfoldsAndExpands(t *testing.T) {
	h := Read([]byte(sound + "rest"))
	id, _ := h.Get("call-id")
	subject, times := h.Get("subject")
	if h.Fault != nil || h.Method != "OPTIONS" || id != "c" || subject != "one two" || times != 1 || string(h.Body) != "rest" {
		t.Errorf("%+v", h)
	}
	if f := Check(h, "udp"); f != nil {
		t.Error(f)
	}
}

func TestEveryFaultHasItsWords(t *testing.T) {
	for _, c := range []struct {
		old, new  string
		transport string
		code      int
		words     string
	}{
		{"SIP/2.0\r\nVia", "SIP/7.0\r\nVia", "udp", 505, "version"},
		{"Max-Forwards: 70\r\n", "", "udp", 400, "Max-Forwards is missing"},
		{"Max-Forwards: 70", "Max-Forwards: 300", "udp", 400, "0 to 255"},
		{"CSeq: 1 OPTIONS", "CSeq: 1 INFO", "udp", 400, "CSeq names INFO"},
		{"CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS", "udp", 400, "2147483648"},
		{";tag=1", "", "udp", 400, "From has no tag"},
		{"<sip:b@example.com>", "<sip:b@example.com", "udp", 400, "not closed"},
		{"OPTIONS sip:lobby", "OPTIONS gopher:lobby", "udp", 416, "gopher"},
		{"OPTIONS sip:lobby", "OPTIONS sips:lobby", "tcp", 416, "TLS"},
		{"Content-Length: 0\r\n", "", "tcp", 400, "Content-Length is missing"},
		{"Content-Length: 0", "Content-Length: 10", "udp", 400, "says 10"},
		{"127.0.0.1:5070", "[::1:5070", "udp", 400, "bracket"},
		{"To: ", "To: <sip:a@example.com>\r\nTo: ", "udp", 400, "appears 2 times"},
		{"\r\nTo:", "\nTo:", "udp", 400, "CRLF"},
	} {
		text := strings.Replace(sound, c.old, c.new, 1)
		f := Check(Read([]byte(text)), c.transport)
		if f == nil || f.Code != c.code || !strings.Contains(f.Words, c.words) {
			t.Errorf("%q instead of %q: %v, want %d with %q", c.new, c.old, f, c.code, c.words)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	for value, want := range map[string][3]string{
		`"A, \"B\" <x>" <sip:a@example.com;user=phone>;tag=7`: {"sip:a@example.com;user=phone", ";tag=7", ""},
		`sip:a@example.com;tag=7`:                             {"sip:a@example.com", ";tag=7", ""},
		`"A <sip:a@example.com>`:                              {"", "", "the quotes are not closed"},
		`<sip:a@@example.com>`:                                {"sip:a@@example.com", "", "it holds two @"},
		`<tel:+15550100>`:                                     {"tel:+15550100", "", ""},
	} {
		uri, params, words := SplitAddress(value)
		if got := [3]string{uri, params, words}; got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestSplitHeedsQuotesAndBrackets(t *testing.T) {
	got := Split(`"a,b" <sip:x@example.com;p=1,2>, <sip:y@example.com>`, ',')
	if want := []string{`"a,b" <sip:x@example.com;p=1,2>`, ` <sip:y@example.com>`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Whatever comes, it is read, and what passes the check has all that an answer needs.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(strings.Replace(sound, "\r\n", "\n", 3)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h := Read(raw)
		if h.Response || Check(h, "udp") != nil {
			return
		}
		for _, name := range []string{"via", "from", "to", "call-id", "cseq"} {
			if value, n := h.Get(name); n == 0 || value == "" || OneLine(value) != value && strings.ContainsAny(value, "\r\n") {
				t.Errorf("%s is %q", name, value)
			}
		}
	})
}
