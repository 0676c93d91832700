package room

import (
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestASupervisorChoosesWhoHearsThem(t *testing.T) {
	h := build(t, fast)
	ann, sue := guest("ann"), guest("sue")
	ann.Role, sue.Role = bridge.RoleDispatcher, bridge.RoleSupervisor
	desk, boss := h.join(ann), h.join(sue)
	heardBy := func(id string) string { p, _ := h.participant(id); return p.HeardBy }
	for _, whom := range []string{desk.id, bridge.HeardByAll, bridge.HeardByNobody} {
		boss.say(map[string]any{"type": "heard_by", "heard_by": whom})
		eventually(t, "the supervisor being heard by "+whom, func() bool { return heardBy(boss.id) == whom })
	}
	for _, c := range []struct {
		who        *page
		whom, code string
	}{{boss, bridge.HeardByHumans, "forbidden"}, {boss, "p_nobody", "invalid"}, {boss, boss.id, "invalid"}, {desk, boss.id, "forbidden"}} {
		c.who.say(map[string]any{"type": "heard_by", "heard_by": c.whom})
		if m := c.who.expect("error"); m["code"] != c.code {
			t.Errorf("heard by %s: %v", c.whom, m)
		}
	}
	if heardBy(boss.id) != bridge.HeardByNobody || heardBy(desk.id) != bridge.HeardByAll {
		t.Error("something changed")
	}
	desk.say(map[string]any{"type": "accept", "call_id": "call_none"})
	if m := desk.expect("error"); m["code"] != "not_found" {
		t.Errorf("%v", m)
	}
}
