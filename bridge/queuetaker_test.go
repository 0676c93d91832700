package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
)

func TestAWarmTransferToAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Warm: true, Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		synctest.Wait()
		if tr := c.Record().Transfer; tr.State != TransferFailed || tr.Cause != CauseUnreachable {
			h.t.Errorf("with nobody there: %+v", tr)
		}
		watch, err := h.WatchQueue("desk", "ann", true)
		if err != nil {
			h.t.Fatal(err)
		}
		defer watch.Close()
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Warm: true, Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk", c)
		got, err := h.AcceptQueued("desk", "", "ann", "")
		if err != nil || got.Handover == nil || got.Handover.Summary != "a fire" {
			h.t.Fatalf("%+v, %v", got, err)
		}
		ann := h.attend(got.Room, "ann")
		time.Sleep(2 * time.Second)
		if r := c.Record(); r.Transfer.State != TransferAccepted || r.AcceptedBy != "ann" || ann.Room().name != r.Room {
			h.t.Errorf("%+v; ann is in %s", r.Transfer, ann.Room().name)
		}
		ann.Leave()
	})
}

func TestAWarmTransferToPhonesOfAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		l, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "phones", Warm: true}); err != nil {
			h.t.Fatal(err)
		}
		phones := h.ringing(ann, bob)
		phones[bob].happens(LineAnswered)
		h.ringing(bob)
		leg, _ := h.of(phones[bob])
		time.Sleep(time.Second)
		if r := c.Record(); r.Transfer.State != TransferAccepted || c.partner() != leg || leg.Record().Room != r.Room {
			h.t.Errorf("%+v; the phone is in %s", r.Transfer, leg.Record().Room)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(leg)
	})
}

func TestABlindTransferToAQueue(t *testing.T) {
	queueing(t, func(h *house) {
		_, c := h.caller("lobby")
		if err := c.Transfer(h.t.Context(), TransferRequest{Queue: "desk", Handover: &Handover{Summary: "a fire"}}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk", c)
		all, _ := h.QueueCalls("desk")
		if all[0].Handover == nil || all[0].Handover.Summary != "a fire" {
			h.t.Errorf("%+v", all[0])
		}
		if err := c.Transfer(h.t.Context(), TransferRequest{Room: "lobby"}); err != nil {
			h.t.Fatal(err)
		}
		h.queue("desk")
		w := overhear(c)
		w.heard(h.t, 200*time.Millisecond)
		if sound := w.heard(h.t, 6*time.Second); media.Level(sound) > -60 {
			h.t.Errorf("%.1f dBov after the queue", media.Level(sound))
		}
	})
}

func TestTheCallerHangsUpWhileTheyAreOfferedWarmly(t *testing.T) {
	for _, queue := range []string{"phones", "desk"} {
		queueing(t, func(h *house) {
			watch, err := h.WatchQueue("desk", "ann", true)
			if err != nil {
				h.t.Fatal(err)
			}
			defer watch.Close()
			l, c := h.caller("lobby")
			if err := c.Transfer(h.t.Context(), TransferRequest{Queue: queue, Warm: true}); err != nil {
				h.t.Fatal(err)
			}
			h.queue(queue, c)
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(c)
			h.queue(queue)
			h.ringing()
		})
	}
}
