package api

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// twilioHouse has one agent with a key, a live call of it, one of somebody else,
// and one that rings.
type twilioHouse struct {
	*house
	bot                   dialplan.Agent
	live, foreign, rings  *fakeCall
	account, path, basics string
}

func newTwilioHouse(t *testing.T, workers ...string) *twilioHouse {
	t.Helper()
	h := &twilioHouse{bot: dialplan.Agent{Name: "bot", URLs: append(workers, "wss://agent.example/media"), Key: "agent-secret"}}
	plan := &dialplan.Plan{Agents: []dialplan.Agent{h.bot, {Name: "other", URL: "wss://other.example", Key: "other-secret"}}}
	h.house = newHouse(t, func(c *Config) { c.Plan = func() *dialplan.Plan { return plan } })
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	call := func(agent string, state bridge.State, answered *time.Time) *fakeCall {
		c := &fakeCall{record: bridge.CallRecord{
			ID: bridge.NewID("call"), Agent: agent, State: state, AnsweredAt: answered, CreatedAt: now,
			From: "+15551230000", To: "+15559990000", Direction: bridge.Inbound,
		}}
		h.exchange.put(c)
		return c
	}
	h.live, h.foreign = call("bot", bridge.StateActive, &now), call("other", bridge.StateActive, &now)
	h.rings = call("bot", bridge.StateRinging, nil)
	h.account = agent.AccountSID(h.bot)
	h.basics = "Basic " + base64.StdEncoding.EncodeToString([]byte(h.account+":agent-secret"))
	return h
}

func (h *twilioHouse) at(c *fakeCall) string {
	return "/2010-04-01/Accounts/" + h.account + "/Calls/" + agent.CallSID(c.record.ID) + ".json"
}

// post sends a form, and returns the answer's status and JSON.
func (h *twilioHouse) post(t *testing.T, c *fakeCall, form url.Values) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, h.at(c), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", h.basics)
	return h.do(t, r)
}

func (h *twilioHouse) do(t *testing.T, r *http.Request) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.Server.Handler().ServeHTTP(w, r)
	out := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return w.Code, out
}

func (c *fakeCall) actions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.done)
}

func TestTwilioRouteEndsAndReadsCalls(t *testing.T) {
	h := newTwilioHouse(t)
	r := httptest.NewRequest(http.MethodGet, h.at(h.live), nil)
	r.Header.Set("Authorization", h.basics)
	status, c := h.do(t, r)
	if status != 200 || c["sid"] != agent.CallSID(h.live.record.ID) || c["status"] != "in-progress" || c["direction"] != "inbound" ||
		c["date_created"] != "Mon, 02 Mar 2026 10:00:00 +0000" || c["from"] != "+15551230000" {
		t.Fatalf("%d %v", status, c)
	}
	if status, c := h.post(t, h.live, url.Values{"Status": {"completed"}}); status != 200 || !slices.Equal(h.live.actions(), []string{"hangup "}) {
		t.Fatalf("%d %v, done %v", status, c, h.live.actions())
	}
}

func TestTwilioRouteKnowsWhoMayDoWhat(t *testing.T) {
	h := newTwilioHouse(t)
	gone := &fakeCall{record: bridge.CallRecord{ID: bridge.NewID("call")}}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, c := range []struct {
		name, authorization string
		call                *fakeCall
		status              int
		code                float64
	}{
		{"no key", "", h.live, 401, 20003},
		{"wrong key", basic(h.account, "wrong"), h.live, 401, 20003},
		{"another agent's key", basic(h.account, "other-secret"), h.live, 401, 20003},
		{"another account", basic("AC00000000000000000000000000000000", "agent-secret"), h.live, 401, 20003},
		{"another agent's call", h.basics, h.foreign, 404, 20404},
		{"a call that is over", h.basics, gone, 404, 20404},
		{"the agent", h.basics, h.rings, 200, 0},
		{"an API key", basic(h.account, adminKey), h.foreign, 200, 0},
	} {
		r := httptest.NewRequest(http.MethodPost, h.at(c.call), strings.NewReader("Status=completed"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", c.authorization)
		status, out := h.do(t, r)
		code, _ := out["code"].(float64)
		if status != c.status || code != c.code || status != 200 && (out["message"] == "" || out["more_info"] == "" || out["status"] != float64(status)) {
			t.Errorf("%s: %d %v", c.name, status, out)
		}
	}
	if len(h.live.actions()) > 0 {
		t.Errorf("somebody else did %v", h.live.actions())
	}
}

func TestTwiMLSendsCallsOn(t *testing.T) {
	h := newTwilioHouse(t)
	for twiml, want := range map[string]string{
		`<Response><Dial>+15551112222</Dial></Response>`:                                                      "transfer to=+15551112222 room=",
		`<Response><Dial timeout="20"><Number>+15551112222</Number></Dial><Hangup/></Response>`:               "transfer to=+15551112222 room=",
		`<Response><Dial><Sip>sip:desk@pbx.example</Sip></Dial></Response>`:                                   "transfer to=sip:desk@pbx.example room=",
		`<Response><Dial><Conference>lobby</Conference></Dial></Response>`:                                    "transfer to= room=lobby",
		`<Response><Dial><Queue>sales</Queue></Dial></Response>`:                                              "transfer to= room= queue=sales",
		`<Response><Enqueue>sales</Enqueue></Response>`:                                                       "transfer to= room= queue=sales",
		`<Response><Connect><Stream url="wss://agent.example/media"/></Connect></Response>`:                   "transfer to= room= agent=bot",
		`<Response><Connect><Stream name="bot"><Parameter name="a" value="b"/></Stream></Connect></Response>`: `transfer to= room= agent=bot data={"a":"b"}`,
		`<Response><Hangup/></Response>`:                                                                      "hangup ",
		`<Response/>`:                                                                                         "hangup ",
		`<Response><Play digits="12#"/><Reject/></Response>`:                                                  "digits 12#,hangup ",
	} {
		h.live.done = nil
		if status, out := h.post(t, h.live, url.Values{"Twiml": {twiml}}); status != 200 || strings.Join(h.live.actions(), ",") != want {
			t.Errorf("%s: %d %v, done %q", twiml, status, out["message"], h.live.actions())
		}
	}
}

func TestTwiMLThatCannotRunChangesNothing(t *testing.T) {
	h := newTwilioHouse(t)
	for _, c := range []struct {
		form url.Values
		code float64
	}{
		{url.Values{"Twiml": {`<Response><Play digits="1"/><Say>hello</Say></Response>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Dial><Client>ann</Client></Dial></Response>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Dial><Number>+1</Number><Number>+2</Number></Dial></Response>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Connect><Stream url="wss://elsewhere.example"/></Connect></Response>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Connect><Stream name="other"/></Connect></Response>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Dial>`}}, 12100},
		{url.Values{"Twiml": {`{"not":"xml"}`}}, 12100},
		{url.Values{"Twiml": {`<Request/>`}}, 12200},
		{url.Values{"Twiml": {`<Response><Pause length="9999999"/></Response>`}}, 12200},
		{url.Values{"Status": {"busy"}}, 20001},
		{url.Values{"Status": {"canceled"}}, 21220},
		{url.Values{"ApplicationSid": {"AP0"}}, 21218},
		{url.Values{}, 20001},
		{url.Values{"Url": {"ftp://x.example"}}, 21205},
		{url.Values{"Url": {"http://x.example"}, "Method": {"PUT"}}, 20001},
		{url.Values{"Url": {"http://127.0.0.1:1/"}}, 11200},
		{url.Values{"Url": {"http://[::1]:1/"}}, 11200},
		{url.Values{"Url": {"http://10.1.2.3/"}}, 11200},
		{url.Values{"Url": {"http://169.254.169.254/latest"}}, 11200},
	} {
		if status, out := h.post(t, h.live, c.form); status != 400 || out["code"] != c.code || len(h.live.actions()) > 0 {
			t.Errorf("%v: %d %v, done %v", c.form, status, out, h.live.actions())
		}
	}
	if status, out := h.post(t, h.rings, url.Values{"Twiml": {`<Response><Hangup/></Response>`}}); status != 400 || out["code"] != 21220.0 {
		t.Errorf("a call that rings: %d %v", status, out)
	}
}

// A document is fetched with a signed form, from the agent's own host or the Internet.
func TestTwiMLIsFetched(t *testing.T) {
	var got *http.Request
	var form url.Values
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r
		form, _ = url.ParseQuery(string(body))
		switch r.URL.Path {
		case "/first":
			io.WriteString(w, `<Response><Redirect method="GET">second?x=1</Redirect></Response>`)
		case "/second":
			io.WriteString(w, `<Response><Dial>+15551112222</Dial></Response>`)
		case "/loop":
			io.WriteString(w, `<Response><Redirect>/loop</Redirect></Response>`)
		case "/large":
			io.WriteString(w, strings.Repeat(" ", 1<<17))
		default:
			http.Redirect(w, r, "/second", http.StatusFound)
		}
	}))
	defer srv.Close()
	h := newTwilioHouse(t, strings.Replace(srv.URL, "http", "ws", 1)+"/media")
	if status, out := h.post(t, h.live, url.Values{"Url": {srv.URL + "/second"}}); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	signed := srv.URL + "/second"
	for _, name := range []string{"AccountSid", "ApiVersion", "CallSid", "CallStatus", "Called", "Caller", "Direction", "From", "To"} {
		signed += name + form.Get(name)
	}
	if want := agent.Signature("agent-secret", signed); got.Header.Get("X-Twilio-Signature") != want || form.Get("CallSid") != agent.CallSID(h.live.record.ID) {
		t.Errorf("signed %q, not %q: %v", got.Header.Get("X-Twilio-Signature"), want, form)
	}
	h.live.done = nil
	if status, out := h.post(t, h.live, url.Values{"Url": {srv.URL + "/first"}}); status != 200 || !slices.Equal(h.live.actions(), []string{"transfer to=+15551112222 room="}) {
		t.Errorf("%d %v, done %v", status, out, h.live.actions())
	}
	if got.URL.Query().Get("x") != "1" || got.URL.Query().Get("From") != "+15551230000" || got.Method != "GET" {
		t.Errorf("redirected to %s %s", got.Method, got.URL)
	}
	h.live.done = nil
	for path, code := range map[string]float64{"/loop": 11215, "/large": 11200, "/elsewhere": 11200} {
		if status, out := h.post(t, h.live, url.Values{"Url": {srv.URL + path}}); status != 400 || out["code"] != code || len(h.live.actions()) > 0 {
			t.Errorf("%s: %d %v, done %v", path, status, out, h.live.actions())
		}
	}
}

// What takes time goes on behind the answer, and ends with the gateway.
func TestTwiMLPauses(t *testing.T) {
	h := newTwilioHouse(t)
	if status, out := h.post(t, h.live, url.Values{"Twiml": {`<Response><Play digits="1w2"/><Pause length="600"/><Hangup/></Response>`}}); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	for deadline := time.Now().Add(20 * time.Second); len(h.live.actions()) < 2 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if status, out := h.post(t, h.live, url.Values{"Twiml": {`<Response><Pause length="600"/><Play digits="3"/></Response>`}}); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	h.Server.scripts.mu.Lock()
	if n := len(h.Server.scripts.live); n != 1 {
		t.Errorf("%d documents run on one call", n)
	}
	h.Server.scripts.mu.Unlock()
	close(h.Server.ending)
	h.Server.scripts.Wait()
	if got := h.live.actions(); !slices.Equal(got, []string{"digits 1", "digits 2"}) {
		t.Errorf("done %v", got)
	}
}

func FuzzTwiML(f *testing.F) {
	f.Add([]byte(`<Response><Dial record="x"><Sip>a</Sip></Dial><Pause length="3"/><Connect><Stream url="u"><Parameter name="n" value="v"/></Stream></Connect></Response>`))
	f.Add([]byte(`<Response><Play digits="1w"/><Redirect>http://x/</Redirect><Enqueue>q</Enqueue></Response>`))
	base, agents := &url.URL{Scheme: "http", Host: "a.example"}, []dialplan.Agent{{Name: "bot", URL: "u"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		verbs, err := parseTwiML(text, base, agents)
		if (err == nil) != (len(verbs) > 0) || err == nil && !verbs[len(verbs)-1].last {
			t.Fatalf("%d verbs, %v", len(verbs), err)
		}
	})
}
