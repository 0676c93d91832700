package bridge

import (
	"fmt"
	"strings"
	"testing"
)

func TestATranscriptIsKeptInOrderAndToldToTheRoom(t *testing.T) {
	x := &Exchange{}
	x.init()
	c := x.newCall(CallRecord{Room: "desk"})
	r, err := x.OpenRoom("desk")
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Join(JoinSpec{Identity: "a", Kind: KindBrowser, Role: RoleGuest})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	defer p.Room().Watch(func(e Event) {
		if u, ok := e.Data["utterance"].(Utterance); ok {
			seen = append(seen, fmt.Sprintf("%s %d %s", e.Type, u.Seq, u.Text))
		}
	})()
	sub := x.Subscribe("")
	defer sub.Close()
	c.Transcribe(Utterance{Text: "there"})
	c.Transcribe(Utterance{Text: "there is smoke", Final: true})
	c.Transcribe(Utterance{Text: "", Final: true})
	c.Transcribe(Utterance{Text: strings.Repeat("a", longestSentence+10), Final: true})
	if want := "transcript.partial 1 there|transcript.final 1 there is smoke|"; !strings.HasPrefix(strings.Join(seen, "|"), want) {
		t.Errorf("the room was told %q", seen)
	}
	if e := <-sub.Events; e.Type != "transcript.final" || e.CallID != c.id {
		t.Errorf("first event %+v", e) // partial ones are not logged
	}
	all := c.Transcript()
	if len(all) != 2 || all[1].Seq != 2 || len(all[1].Text) > longestSentence {
		t.Errorf("transcript of %d", len(all))
	}
	for range mostUtterances + 5 {
		c.Transcribe(Utterance{Text: "x", Final: true})
	}
	if all = c.Transcript(); len(all) > mostUtterances || all[len(all)-1].Seq != mostUtterances+7 {
		t.Errorf("%d kept, last %d", len(all), all[len(all)-1].Seq)
	}
}
