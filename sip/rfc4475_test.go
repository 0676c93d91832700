package sip

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/trace"
)

var update = flag.Bool("update", false, "write docs/torture.md anew")

// torturous are the messages of RFC 4475: section, title, file, and what the RFC
// expects of whom it is sent to.
var torturous = [][4]string{
	{"3.1.1.1", "A short tortuous INVITE", "wsinv", "well-formed"},
	{"3.1.1.2", "Wide range of valid characters", "intmeth", "well-formed; the method is unknown"},
	{"3.1.1.3", "Valid use of the % escaping mechanism", "esc01", "well-formed"},
	{"3.1.1.4", "Escaped nulls in URIs", "escnull", "well-formed"},
	{"3.1.1.5", "Use of % when it is not an escape", "esc02", "well-formed; the method is unknown"},
	{"3.1.1.6", "No white space between display name and <", "lwsdisp", "well-formed"},
	{"3.1.1.7", "Long values in header fields", "longreq", "well-formed"},
	{"3.1.1.8", "Extra trailing octets in a UDP datagram", "dblreq", "the extra octets are ignored"},
	{"3.1.1.9", "Semicolon-separated parameters in the user part", "semiuri", "well-formed"},
	{"3.1.1.10", "Varied and unknown transport types", "transports", "well-formed"},
	{"3.1.1.11", "Multipart MIME message", "mpart01", "well-formed"},
	{"3.1.1.12", "Unusual reason phrase", "unreason", "a well-formed response"},
	{"3.1.1.13", "Empty reason phrase", "noreason", "a well-formed response"},
	{"3.1.2.1", "Extraneous header field separators", "badinv01", "400"},
	{"3.1.2.2", "Content-Length larger than the message", "clerr", "400"},
	{"3.1.2.3", "Negative Content-Length", "ncl", "400"},
	{"3.1.2.4", "Request scalar fields with overlarge values", "scalar02", "400"},
	{"3.1.2.5", "Response scalar fields with overlarge values", "scalarlg", "dropped"},
	{"3.1.2.6", "Unterminated quoted string in a display name", "quotbal", "400"},
	{"3.1.2.7", "<> around the Request-URI", "ltgtruri", "400"},
	{"3.1.2.8", "White space in the Request-URI", "lwsruri", "400"},
	{"3.1.2.9", "Several spaces between request line elements", "lwsstart", "400"},
	{"3.1.2.10", "Spaces at the end of the request line", "trws", "400"},
	{"3.1.2.11", "Escaped headers in the Request-URI", "escruri", "400"},
	{"3.1.2.12", "Invalid time zone in Date", "baddate", "400, or the Date is ignored"},
	{"3.1.2.13", "URI with parameters and no <>", "regbadct", "400"},
	{"3.1.2.14", "Spaces within an addr-spec", "badaspec", "400, or tolerated"},
	{"3.1.2.15", "Non-token characters in a display name", "baddn", "400, or tolerated"},
	{"3.1.2.16", "Unknown protocol version", "badvers", "505"},
	{"3.1.2.17", "Start line and CSeq differ", "mismatch01", "400"},
	{"3.1.2.18", "Unknown method, and CSeq differs", "mismatch02", "400 or 501"},
	{"3.1.2.19", "Overlarge response code", "bigcode", "dropped"},
	{"3.2.1", "Missing transaction identifier", "badbranch", "not a crash"},
	{"3.3.1", "Missing required header fields", "insuf", "400"},
	{"3.3.2", "Request-URI with unknown scheme", "unkscm", "416"},
	{"3.3.3", "Request-URI with known but atypical scheme", "novelsc", "416"},
	{"3.3.4", "Unknown URI schemes in header fields", "unksm2", "a registrar's affair"},
	{"3.3.5", "Proxy-Require and Require", "bext01", "420"},
	{"3.3.6", "Unknown Content-Type", "invut", "415"},
	{"3.3.7", "Unknown authorization scheme", "regaut01", "a registrar's affair"},
	{"3.3.8", "Several values in single value fields", "multi01", "400"},
	{"3.3.9", "Several Content-Length values", "mcl01", "400"},
	{"3.3.10", "200 OK with broadcast Via", "bcast", "dropped"},
	{"3.3.11", "Max-Forwards of zero", "zeromf", "answered here, not forwarded"},
	{"3.3.12", "REGISTER with a Contact header parameter", "cparam01", "a registrar's affair"},
	{"3.3.13", "REGISTER with a URL parameter", "cparam02", "a registrar's affair"},
	{"3.3.14", "REGISTER with a URL escaped header", "regescrt", "a registrar's affair"},
	{"3.3.15", "Unacceptable Accept offering", "sdp01", "406, or 200 with SDP"},
	{"3.4.1", "INVITE with RFC 2543 syntax", "inv2543", "well-formed for RFC 2543"},
}

// TestTheMessagesOfRFC4475 sends each of them while a call is up, and compares
// what they get with docs/torture.md.
func TestTheMessagesOfRFC4475(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := filepath.Join(strings.TrimSpace(string(out)), "sip", "testdata", "torture") // the RFC's, byte by byte
	var said answers
	b := startAgent(t, func(c *Config) { c.Trace = said.record })
	quiet := newWire(t, b.Addr())
	line, talk, ok := quiet.call(b)
	var page strings.Builder
	page.WriteString(tortureHead)
	for _, m := range torturous {
		raw := tortureFile(t, files, m[2])
		w := newWire(t, b.Addr())
		code, words := said.to(t, b, w, raw)
		fmt.Fprintf(&page, "| %s | %s (`%s`) | %s | %s | %s |\n", m[0], m[1], m[2], m[3], code, words)
	}
	quiet.reinvite(&talk, ok, sampleSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 0\r\na=sendonly\r\n"), 200)
	expect(t, line, bridge.LineHeld)
	comparePage(t, filepath.Join("..", "docs", "torture.md"), page.String())
}

const tortureHead = `# What the messages of RFC 4475 get

Each of the 49 SIP torture test messages of RFC 4475, sent over UDP to the gateway's SIP user agent by somebody
it believes, while a call is up; the call goes on unharmed. Strangers get no answer to anything but INVITE.

Three that are well-formed are refused all the same: white space inside a Via's protocol (3.1.1.1), a NUL in a
display name (3.1.1.2), and an INVITE without Max-Forwards (3.4.1). RFC 3261 allows the first two and the third is from before it; our parser takes none of them.

The test ` + "`TestTheMessagesOfRFC4475`" + ` sends them and compares with this page.

| section | message | the RFC expects | answer | in words |
|---|---|---|---|---|
`

// tortureFile reads one message.
func tortureFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	for _, kind := range []string{"valid", "invalid"} {
		if raw, err := os.ReadFile(filepath.Join(dir, kind, name+".dat")); err == nil {
			// Several share a branch, and would be taken for one message that comes again.
			return bytes.ReplaceAll(raw, []byte("z9hG4bKkdjuw"), []byte("z9hG4bK"+name))
		}
	}
	t.Fatalf("%s.dat is missing in %s", name, dir)
	return nil
}

// comparePage holds a page of docs against what was seen.
func comparePage(t *testing.T, path, seen string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(seen), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	have, want := strings.Split(seen, "\n"), strings.Split(string(text), "\n")
	for i := range max(len(have), len(want)) {
		var h, w string
		if i < len(have) {
			h = have[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if h != w {
			t.Errorf("line %d is\n%s\nand the page says\n%s\n(go test ./sip -run RFC4475 -update writes it)", i+1, h, w)
		}
	}
}

// answers collects the final responses that are sent: many go to where a
// message's Via says, which is nobody here.
type answers struct {
	mu   sync.Mutex
	list []message
}

func (a *answers) record(m trace.Message) {
	if !m.Sent {
		return
	}
	p := parseMessage(append([]byte(nil), m.Raw...))
	if p.Response && p.code != 100 {
		a.mu.Lock()
		a.list = append(a.list, p)
		a.mu.Unlock()
	}
}

// to sends a message and says what it got: a code and its words, a call, or nothing.
func (a *answers) to(t *testing.T, b *agent, w *wire, raw []byte) (code, words string) {
	t.Helper()
	a.mu.Lock()
	a.list = nil
	a.mu.Unlock()
	id, _ := grammar.Read(raw).Get("call-id")
	w.send(string(raw))
	found := func() (message, bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, m := range a.list {
			if m.value("call-id") == id {
				return m, true
			}
		}
		return message{}, false
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 40 {
		select {
		case c := <-b.calls:
			c.End(bridge.CauseBusy, "")
			return "a call", "to " + strings.ReplaceAll(c.To, "|", "\\|")
		case <-tick.C:
		}
		if m, ok := found(); ok {
			return fmt.Sprint(m.code), strings.ReplaceAll(m.phrase, "|", "\\|")
		}
	}
	return "none", "dropped"
}
