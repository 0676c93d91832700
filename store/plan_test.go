package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/roomline/roomline/dialplan"
)

func samplePlan(t testing.TB) *dialplan.Plan {
	t.Helper()
	p, err := dialplan.Parse([]byte(`
trunks:
  - {name: zebra, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example], username: u, password: hunter22}, limits: {calls: 2, cps: 0.5, prefixes: ["+1"]}}
  - {name: ant, addresses: [192.0.2.7]}
numbers:
  - {number: +15551230000, trunk: zebra, label: Sales}
routes:
  - {name: z, to: ["911", "112"], room: "sos-{{call.id}}"}
  - {name: y, trunk: ant, hours: "Mo-Fr 09:00-17:00 America/New_York", room: pbx, answer: ready, else: {reject: busy}}
  - {name: a, from_room: true, to: "+1*", trunk: zebra}
`), nil)
	must(t, err)
	return p
}

func testPlan(t *testing.T, s *Store, _ func() *Store) {
	if p, err := s.LoadPlan(t.Context()); err != nil || len(p.Trunks)+len(p.Routes) != 0 {
		t.Fatalf("an empty plan: got %+v, %v", p, err)
	}
	want := samplePlan(t)
	must(t, s.ReplacePlan(t.Context(), want))
	got, revision, err := s.LoadPlanRevision(t.Context())
	must(t, err)
	if !reflect.DeepEqual(got.Routes, want.Routes) || !reflect.DeepEqual(got.Trunks, want.Trunks) || !reflect.DeepEqual(got.Numbers, want.Numbers) {
		t.Errorf("got %+v", got)
	}
	must(t, s.ChangePlan(t.Context(), func(p *dialplan.Plan) error {
		p.Routes[0], p.Routes[2] = p.Routes[2], p.Routes[0]
		p.Numbers = nil
		p.Trunks[1].Addresses = []string{"192.0.2.8"}
		return nil
	}))
	got, err = s.LoadPlan(t.Context())
	must(t, err)
	if got.Routes[0].Name != "a" || got.Routes[2].Name != "z" || len(got.Numbers) != 0 || got.Trunks[1].Addresses[0] != "192.0.2.8" || got.Trunks[0].Outbound.Password != "hunter22" {
		t.Errorf("got %+v", got)
	}
	if now, err := s.PlanRevision(t.Context()); err != nil || now != revision+1 {
		t.Errorf("revision %d after %d, %v", now, revision, err)
	}
}

func testPlanProblems(t *testing.T, s *Store, _ func() *Store) {
	must(t, s.ReplacePlan(t.Context(), samplePlan(t)))
	before, err := s.PlanRevision(t.Context())
	must(t, err)
	err = s.ChangePlan(t.Context(), func(p *dialplan.Plan) error {
		p.Trunks = p.Trunks[:1] // a route still names the other
		return nil
	})
	var problems dialplan.Problems
	if !errors.As(err, &problems) || problems[0].Field != "routes[1].trunk" {
		t.Errorf("got %v", err)
	}
	enough := errors.New("enough")
	if err := s.ChangePlan(t.Context(), func(p *dialplan.Plan) error { p.Routes = nil; return enough }); err != enough {
		t.Errorf("got %v", err)
	}
	got, err := s.LoadPlan(t.Context())
	must(t, err)
	after, err := s.PlanRevision(t.Context())
	must(t, err)
	if len(got.Trunks) != 2 || len(got.Routes) != 3 || after != before {
		t.Errorf("something changed: revision %d to %d, %+v", before, after, got)
	}
}

func testPlanTogether(t *testing.T, s *Store, another func() *Store) {
	var group sync.WaitGroup
	gateways := []*Store{s, another(), another()}
	for i := range 12 {
		group.Go(func() {
			err := gateways[i%3].ChangePlan(t.Context(), func(p *dialplan.Plan) error {
				p.Routes = append(p.Routes, dialplan.Route{Name: fmt.Sprintf("r%d", len(p.Routes)), Target: dialplan.Target{Room: "x"}})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	p, revision, err := s.LoadPlanRevision(t.Context())
	if err != nil || len(p.Routes) != 12 || p.Routes[11].Name != "r11" || revision != 12 {
		t.Errorf("got %d routes, revision %d, %v", len(p.Routes), revision, err)
	}
}

func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadSnapshot(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	want := samplePlan(t)
	must(t, SaveSnapshot(dir, &dialplan.Plan{}))
	must(t, SaveSnapshot(dir, want))
	got, err := LoadSnapshot(dir)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	files, _ := os.ReadDir(dir)
	if info, err := os.Stat(filepath.Join(dir, snapshotFile)); err != nil || info.Mode().Perm() != 0o600 || len(files) != 1 {
		t.Errorf("got %v, %v", info, files)
	}
	must(t, os.WriteFile(filepath.Join(dir, snapshotFile), []byte("{"), 0o600))
	if _, err := LoadSnapshot(dir); err == nil || !strings.Contains(err.Error(), "plan.json") {
		t.Errorf("got %v", err)
	}
}
