package api

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/web/chromium"
)

// sdkStep is one thing that testdata/twilio/drive.mjs does.
type sdkStep struct {
	SID      string            `json:"sid,omitempty"`
	Key      string            `json:"key,omitempty"`
	Update   map[string]string `json:"update,omitempty"`
	Validate map[string]any    `json:"validate,omitempty"`
}

type sdkOutcome struct {
	SID, Status, From, To, Direction, Created, Account string
	Valid                                              bool
	Error                                              *struct {
		Status, Code  int
		Message, More string
	}
}

// drive does steps with Twilio's own client.
func drive(t *testing.T, gateway, account, key string, steps []sdkStep) (out []sdkOutcome) {
	t.Helper()
	node, npm := chromium.Need(t, "node", "apt-get install nodejs"), chromium.Need(t, "npm", "apt-get install npm")
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", "twilio"))); err != nil {
		t.Fatal(err)
	}
	install := exec.Command(npm, "install", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts")
	install.Dir = folder
	if text, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("npm install: %v\n%s", err, text)
		}
		t.Skipf("Twilio's client could not be installed, so this is not tested: %v\n%s", err, text)
	}
	asked, err := json.Marshal(map[string]any{"account": account, "key": key, "steps": steps})
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(node, filepath.Join(folder, "drive.mjs"), gateway)
	run.Stdin, run.Stderr = bytes.NewReader(asked), os.Stderr
	text, err := run.Output()
	if err != nil || json.Unmarshal(text, &out) != nil || len(out) != len(steps) {
		t.Fatalf("the client said %s (%v)", text, err)
	}
	return out
}

// Twilio's own client, unmodified but for the address, reads, redirects and ends
// calls, and takes our signatures for Twilio's.
func TestTwiliosClientWorks(t *testing.T) {
	h := newTwilioHouse(t)
	srv := httptest.NewServer(h.Handler())
	defer srv.Close()
	const wss = "wss://agent.example:8443/media?tenant=7"
	sid := agent.CallSID(h.live.record.ID)
	out := drive(t, srv.URL, h.account, h.bot.Key, []sdkStep{
		{SID: sid},
		{SID: sid, Update: map[string]string{"twiml": "<Response><Dial>+15551112222</Dial></Response>"}},
		{SID: sid, Update: map[string]string{"twiml": "<Response><Say>hello</Say></Response>"}},
		{SID: sid, Update: map[string]string{"status": "completed"}},
		{SID: "CA00000000000000000000000000000000", Update: map[string]string{"status": "completed"}},
		{SID: sid, Key: "wrong"},
		{Validate: map[string]any{"key": "k", "url": wss, "signature": agent.Signature("k", wss)}},
		{Validate: map[string]any{"key": "k", "url": wss + "x", "signature": agent.Signature("k", wss)}},
	})
	if c := out[0]; c.SID != sid || c.Status != "in-progress" || c.From != "+15551230000" || c.Direction != "inbound" ||
		c.Created != "2026-03-02T10:00:00.000Z" || c.Account != h.account {
		t.Errorf("read %+v", c)
	}
	if got := h.live.actions(); !slices.Equal(got, []string{"transfer to=+15551112222 room=", "hangup "}) || out[1].Error != nil || out[3].Error != nil {
		t.Errorf("done %v: %+v", got, out)
	}
	for i, want := range map[int][2]int{2: {400, 12200}, 4: {404, 20404}, 5: {401, 20003}} {
		if e := out[i].Error; e == nil || e.Status != want[0] || e.Code != want[1] || e.Message == "" {
			t.Errorf("step %d: %+v", i, e)
		} else if _, err := url.Parse(e.More); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if !out[6].Valid || out[7].Valid {
		t.Errorf("the signature is valid %t, of another address %t", out[6].Valid, out[7].Valid)
	}
}
