package bridge

import (
	"errors"
	"testing"

	"github.com/roomline/roomline/media"
)

func TestWhoHearsWhom(t *testing.T) {
	phone := seat{id: "phone", person: "call1", role: RoleGuest, heardBy: HeardByAll}
	dispatcher := seat{id: "disp", person: "ann", role: RoleDispatcher, heardBy: HeardByAll}
	supervisor := seat{id: "sup", person: "sue", role: RoleSupervisor, heardBy: HeardByNobody}
	whisperer := seat{id: "whi", person: "wim", role: RoleSupervisor, heardBy: "disp"}
	copilot := seat{id: "bot", person: "bot", role: RoleAgent, heardBy: HeardByHumans}
	page := seat{id: "page", person: "call1", role: RoleCaller, heardBy: HeardByAll, phoneIsUp: true}
	alone := seat{id: "page", person: "call1", role: RoleCaller, heardBy: HeardByAll}
	muted, held := phone, phone
	muted.muted, held.held = true, true
	for _, c := range []struct {
		what              string
		listener, speaker seat
		want              bool
	}{
		{"a dispatcher hears a phone", dispatcher, phone, true},
		{"a phone hears a dispatcher", phone, dispatcher, true},
		{"nobody hears themselves", phone, phone, false},
		{"the same human's other leg is not heard", phone, page, false},
		{"a muted phone is not heard", dispatcher, muted, false},
		{"a muted phone hears", muted, dispatcher, true},
		{"a held phone is not heard", dispatcher, held, false},
		{"a held phone does not hear", held, dispatcher, false},
		{"a listening supervisor is not heard", phone, supervisor, false},
		{"a listening supervisor hears", supervisor, phone, true},
		{"a whisper reaches one", dispatcher, whisperer, true},
		{"a whisper does not reach the caller", phone, whisperer, false},
		{"a co-pilot reaches the dispatcher", dispatcher, copilot, true},
		{"a co-pilot does not reach the caller", phone, copilot, false},
		{"a caller's page is not heard while their phone is up", dispatcher, page, false},
		{"a caller's page does not hear while their phone is up", page, dispatcher, false},
		{"a caller's page is heard when the phone is gone", dispatcher, alone, true},
	} {
		if got := hears(&c.listener, &c.speaker); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if sees(&alone, &dispatcher) || !sees(&dispatcher, &alone) {
		t.Error("video: a caller sends and does not receive")
	}
}

func TestGrantsOfPublishing(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		phone, _ := r.Join(JoinSpec{Identity: "+15550100", CallID: "call1", Kind: KindPhone, Role: RoleGuest})
		caller, _ := r.Join(JoinSpec{Identity: "page", CallID: "call1", Kind: KindBrowser, Role: RoleCaller})
		supervisor, _ := r.Join(JoinSpec{Identity: "sue", Kind: KindBrowser, Role: RoleSupervisor})
		refused := func(p *Participant, codec media.Codec) {
			t.Helper()
			var e *Error
			if _, err := p.Publish(TrackSpec{ID: codec.String(), Codec: codec}); !errors.As(err, &e) || e.Code != Forbidden {
				t.Errorf("publish %s: %v", codec, err)
			}
		}
		refused(caller, media.Opus)
		refused(supervisor, media.VP8)
		if _, err := caller.Publish(TrackSpec{ID: "cam", Codec: media.VP8}); err != nil {
			t.Errorf("a caller's camera: %v", err)
		}
		if _, err := caller.Publish(TrackSpec{ID: "cam", Codec: media.VP8}); err == nil {
			t.Error("one track was published twice")
		}
		if n := len(supervisor.Sources()); n != 1 {
			t.Errorf("a supervisor may have %d tracks, want the camera", n)
		}
		phone.Leave()
		if _, err := caller.Publish(TrackSpec{ID: "mic", Codec: media.Opus}); err != nil {
			t.Errorf("the microphone after the phone call: %v", err)
		}
		if _, err := r.Join(JoinSpec{Identity: "x", Role: "king"}); err == nil {
			t.Error("an unknown role came in")
		}
	})
}
