package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/room"
)

// answerOf sends a request with any headers and returns status and body.
func (h *house) answerOf(method, path, body string, headers ...string) (int, string) {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url()+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// words returns the detail of a problem; a body that is none fails the test.
func words(t *testing.T, what, body string) string {
	t.Helper()
	var p struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Detail == "" || p.Status == 0 {
		t.Errorf("%s: the answer says nothing: %.200q", what, body)
	}
	return p.Detail
}

func TestWrongTokensAreRefusedInWords(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	good, _ := h.token("lobby", "ann", bridge.RoleGuest)
	claims := room.Claims{Identity: "ann", Name: "ann", Role: bridge.RoleGuest, Room: "lobby"}
	old, _, err := h.keys.Mint(claims, time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := room.NewKeys(room.Key{ID: "1", Secret: []byte(strings.Repeat("x", 32))})
	if err != nil {
		t.Fatal(err)
	}
	forged, _, _ := stranger.Mint(claims, time.Hour, time.Now())
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	none := b64([]byte(`{"alg":"none","typ":"JWT","kid":"1"}`)) + "." + parts[1] + "."
	offer := peerSDP("127.0.0.1", 9, "")
	for name, c := range map[string]struct {
		token, path string
		status      int
	}{
		"none at all":      {"", "lobby", 401},
		"nonsense":         {"nonsense", "lobby", 401},
		"three nonsenses":  {"a.b.c", "lobby", 401},
		"expired":          {old, "lobby", 401},
		"forged":           {forged, "lobby", 401},
		"unsigned":         {none, "lobby", 401},
		"cut":              {good[:len(good)-4], "lobby", 401},
		"of another room":  {good, "other", 403},
		"10,000 letters":   {strings.Repeat("x", 10000), "lobby", 401},
		"the API's key":    {h.adminKey, "lobby", 401},
		"of a broken room": {good, "lob%20by", 404},
	} {
		for _, end := range []string{"whip", "whep"} {
			headers := []string{"Content-Type", "application/sdp"}
			if c.token != "" {
				headers = append(headers, "Authorization", "Bearer "+c.token)
			}
			status, body := h.answerOf("POST", "/v1/rooms/"+c.path+"/"+end, offer, headers...)
			if status != c.status && !(c.path == "lob%20by" && status == 422) {
				t.Errorf("%s: %s answered %d %s, want %d", name, end, status, body, c.status)
			}
			if words(t, name, body); c.token != "" && len(c.token) < 1000 && strings.Contains(body, c.token) {
				t.Errorf("%s: %s repeats the token", name, end)
			}
		}
	}
	for _, key := range []string{"", "nonsense", good, h.adminKey + "x", strings.ToLower(h.adminKey[:8])} {
		status, body := h.answerOf("GET", "/v1/calls", "", "Authorization", "Bearer "+key)
		if words(t, "API key", body); status != 401 {
			t.Errorf("a wrong API key: status %d: %s", status, body)
		}
	}
	h.silentAbout(good, h.adminKey, forged, old, parts[1])
	call.unharmed()
}

// silentAbout checks that the log does not hold secrets.
func (h *house) silentAbout(secrets ...string) {
	h.t.Helper()
	log := h.log.all()
	for _, s := range secrets {
		if strings.Contains(log, s) {
			h.t.Errorf("the log holds a secret: %.6s…", s)
		}
	}
}

func TestWrongBodiesAreRefusedInWords(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	auth := []string{"Authorization", "Bearer " + h.adminKey, "Content-Type", "application/json"}
	deep := strings.Repeat(`{"to":`, 5000) + "1" + strings.Repeat("}", 5000)
	for name, c := range map[string]struct {
		method, path, body string
		status             string
	}{
		"nothing":                {"POST", "/v1/calls", "", "400 422"},
		"cut":                    {"POST", "/v1/calls", `{"to":"+1555`, "400"},
		"two objects":            {"POST", "/v1/calls", `{"to":"+15551234567"}{}`, "400 422"},
		"a list":                 {"POST", "/v1/calls", `[]`, "422"},
		"null":                   {"POST", "/v1/calls", `null`, "422"},
		"a number for a text":    {"POST", "/v1/calls", `{"to":15551234567}`, "422"},
		"a field unknown":        {"POST", "/v1/calls", `{"to":"+15551234567","tp":"x"}`, "422"},
		"a ring of -1":           {"POST", "/v1/calls", `{"to":"+15551234567","ring_timeout":-1}`, "422"},
		"a ring of letters":      {"POST", "/v1/calls", `{"to":"+15551234567","ring_timeout":"long"}`, "422"},
		"a ring too long":        {"POST", "/v1/calls", `{"to":"+15551234567","ring_timeout":1e99}`, "422"},
		"a header of two lines":  {"POST", "/v1/calls", `{"to":"+15551234567","headers":{"X-A":"a\r\nVia: b"}}`, "422"},
		"a header not X-":        {"POST", "/v1/calls", `{"to":"+15551234567","headers":{"Via":"a"}}`, "422"},
		"a room of two words":    {"POST", "/v1/calls", `{"to":"+15551234567","room":"a b"}`, "422"},
		"a line end in to":       {"POST", "/v1/calls", `{"to":"+15551234567\r\nVia: x"}`, "422 403"},
		"not UTF-8":              {"POST", "/v1/calls", "{\"to\":\"\xff\xfe\"}", "400 422 403"},
		"nested deeply":          {"POST", "/v1/calls", deep, "400 422"},
		"five megabytes":         {"POST", "/v1/calls", `{"to":"` + strings.Repeat("1", 5<<20) + `"}`, "413 422"},
		"role unknown":           {"POST", "/v1/rooms/lobby/tokens", `{"identity":"x","role":"king"}`, "422"},
		"identity missing":       {"POST", "/v1/rooms/lobby/tokens", `{"role":"guest"}`, "422"},
		"a plan of garbage":      {"PUT", "/v1/plan", `{"trunks":[{"name":1}]}`, "422"},
		"a route to nowhere":     {"PUT", "/v1/plan", `{"routes":[{"name":"a"}]}`, "422"},
		"an address of letters":  {"PUT", "/v1/plan", `{"trunks":[{"name":"a","addresses":["x"]}]}`, "422"},
		"digits of letters":      {"POST", "/v1/calls/" + call.id + "/dtmf", `{"digits":"hello"}`, "422"},
		"digits for nobody":      {"POST", "/v1/calls/call_x/dtmf", `{"digits":"1"}`, "404"},
		"limit of letters":       {"GET", "/v1/cdrs?limit=many", "", "422 400"},
		"a cursor made up":       {"GET", "/v1/cdrs?cursor=%00%ff", "", "422 400"},
		"a parameter unknown":    {"GET", "/v1/events?x=1", "", "422"},
		"a webhook to a file":    {"POST", "/v1/webhooks", `{"url":"file:///etc/passwd","events":["call.ended"]}`, "422"},
		"a path that is not":     {"GET", "/v1/nothing", "", "404"},
		"a method that is not":   {"PATCH", "/v1/calls", "{}", "405"},
		"transfer, not yet here": {"POST", "/v1/calls/" + call.id + "/escalate", `{}`, "404 422"},
	} {
		status, body := h.answerOf(c.method, c.path, c.body, auth...)
		if !strings.Contains(c.status, http.StatusText(status)) && !strings.Contains(c.status, itoa(status)) {
			t.Errorf("%s: %d %.300s, want %s", name, status, body, c.status)
		}
		words(t, name, body)
	}
	for name, c := range map[string]struct{ kind, body, status string }{
		"not SDP":           {"application/sdp", "hello", "400 422"},
		"JSON":              {"application/json", "{}", "415"},
		"SDP without ICE":   {"application/sdp", peerSDP("127.0.0.1", 9, ""), "400 422"},
		"two megabytes":     {"application/sdp", strings.Repeat("a=x\r\n", 400_000), "413 422 400"},
		"nothing":           {"application/sdp", "", "400 422"},
		"zeros and control": {"application/sdp", strings.Repeat("\x00\x01", 500), "400 422"},
	} {
		for _, end := range []string{"whip", "whep"} {
			token, _ := h.token("lobby", "ann", bridge.RoleGuest)
			status, body := h.answerOf("POST", "/v1/rooms/lobby/"+end, c.body, "Content-Type", c.kind, "Authorization", "Bearer "+token)
			if !strings.Contains(c.status, itoa(status)) {
				t.Errorf("%s %s: %d %.300s, want %s", end, name, status, body, c.status)
			}
			words(t, end+" "+name, body)
		}
	}
	if n := len(h.exchange.Calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
	if n := len(h.plans.inForce().Trunks) + len(h.plans.inForce().Routes); n != 0 {
		t.Errorf("the plan has changed: %+v", h.plans.inForce())
	}
	h.silentAbout(h.adminKey)
	call.unharmed()
	call.grownBack()
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestWebSocketGarbageIsAnsweredOrEnded(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	ctx := within(t, 60*time.Second)
	url := strings.Replace(h.url(), "http", "ws", 1) + "/v1/rooms/steady/ws"
	token, _ := h.token("steady", "eve", bridge.RoleGuest)
	join := `{"type":"join","token":"` + token + `"}`
	for _, c := range []struct {
		name string
		kind websocket.MessageType
		text string
		join bool
	}{
		{"no JSON", websocket.MessageText, "hello", false},
		{"binary", websocket.MessageBinary, "\x00\x01\x02", false},
		{"another type", websocket.MessageText, `{"type":"answer","sdp":"v=0"}`, false},
		{"no type", websocket.MessageText, `{}`, false},
		{"a list", websocket.MessageText, `[]`, false},
		{"deep", websocket.MessageText, strings.Repeat("[", 20000), false},
		{"a wrong token", websocket.MessageText, `{"type":"join","token":"a.b.c"}`, false},
		{"a session made up", websocket.MessageText, `{"type":"resume","session":"x"}`, false},
		{"a megabyte", websocket.MessageText, `{"type":"` + strings.Repeat("x", 1<<20) + `"}`, false},
		{"no JSON, joined", websocket.MessageText, "{", true},
		{"SDP of garbage, joined", websocket.MessageText, `{"type":"answer","sdp":"v=7"}`, true},
		{"hang up without the right, joined", websocket.MessageText, `{"type":"hangup","participant":"x"}`, true},
		{"digits of letters, joined", websocket.MessageText, `{"type":"dtmf","call_id":"x","digits":"hello"}`, true},
		{"joined twice", websocket.MessageText, join, true},
	} {
		conn, _, err := websocket.Dial(ctx, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(1 << 20)
		if c.join {
			if err := conn.Write(ctx, websocket.MessageText, []byte(join)); err != nil {
				t.Fatal(err)
			}
			if text := awaitType(ctx, conn, "offer"); text == "" {
				t.Fatal("no offer after joining")
			}
		}
		if err := conn.Write(ctx, c.kind, []byte(c.text)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text := awaitType(ctx, conn, "error")
		if text == "" && websocket.CloseStatus(lastRead(ctx, conn)) == -1 && c.name != "a megabyte" && c.name != "binary" {
			t.Errorf("%s: neither an error nor a close", c.name)
		}
		if strings.Contains(text, token) || text != "" && !strings.Contains(text, `"message":"`) {
			t.Errorf("%s: answered %s", c.name, text)
		}
		conn.CloseNow()
	}
	h.silentAbout(token, join)
	call.unharmed()
	h.until("eve has left", func() bool {
		for _, r := range h.exchange.Rooms() {
			for _, p := range r.Participants {
				if p.Identity == "eve" && !p.Away {
					return false
				}
			}
		}
		return true
	})
}

// awaitType returns the first message of a type, empty when the connection ends first.
func awaitType(ctx context.Context, conn *websocket.Conn, kind string) string {
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return ""
		}
		if strings.HasPrefix(string(text), `{"type":"`+kind+`"`) {
			return string(text)
		}
	}
}

func lastRead(ctx context.Context, conn *websocket.Conn) error {
	_, _, err := conn.Read(ctx)
	return err
}

// Connections that begin and never end are cut off; meanwhile everybody else is served.
func TestSlowConnectionsAreCutOff(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	var slow []net.Conn
	open := func(addr, text string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	sip, web := h.ua.Addr().String(), h.http.Addr().String()
	token, _ := h.token("lobby", "eve", bridge.RoleGuest)
	for range 60 {
		open(sip, "INVITE sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP ")
		open(sip, "OPTIONS sip:lobby@127.0.0.1 SIP/2.0\r\nContent-Length: 500\r\n\r\n")
		open(web, "POST /v1/calls HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		open(web, "POST /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
		open(web, "POST /v1/rooms/lobby/whip HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\nContent-Type: application/sdp\r\nContent-Length: 500\r\n\r\nv")
		open(web, "POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+h.adminKey+"\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")
	}
	began := time.Now()
	w := h.newPeerTCP()
	options := w.invite("lobby", 40000)
	options.method, options.body = "OPTIONS", ""
	w.sendDraft(options)
	w.response(200, "OPTIONS")
	if status := h.ask("GET", "/v1/calls", nil, nil); status != 200 {
		t.Errorf("the API answers %d", status)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("others waited %v", d)
	}
	w.conn.Close()
	for i, conn := range slow {
		conn.SetReadDeadline(began.Add(40 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("slow connection %d is still open after %v", i, time.Since(began))
		}
		conn.Close()
	}
	t.Logf("the last was cut off after %v", time.Since(began))
	call.unharmed()
	call.grownBack()
}

// Digits may be card numbers: they reach whom they are for, and not the log.
func TestDigitsArriveAndAreNotLogged(t *testing.T) {
	h := startHouse(t, "")
	events := h.follow()
	c := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{})
	var id string
	h.until("the call is up", func() bool {
		calls := h.exchange.Calls()
		if len(calls) == 1 {
			id = calls[0].ID
		}
		return len(calls) == 1 && calls[0].State == bridge.StateActive
	})
	const ours, theirs = "8642097531", "1357902468"
	if status := h.ask("POST", "/v1/calls/"+id+"/dtmf", map[string]any{"digits": ours}, nil); status < 200 || status > 299 {
		t.Errorf("status %d", status)
	}
	h.until("the phone has our digits", func() bool { return c.Report().Digits == ours })
	if err := c.SendDigits(within(t, 20*time.Second), theirs); err != nil {
		t.Fatal(err)
	}
	h.until("every key is reported once", func() bool {
		n := 0
		for _, kind := range events.of(id) {
			if kind == "dtmf.received" {
				n++
			}
		}
		return n == len(theirs)
	})
	c.Hangup()
	h.cdrs(1)
	h.silentAbout(ours, theirs, "digit=", "key=5")
}
