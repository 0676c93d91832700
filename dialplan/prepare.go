package dialplan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// prepared is what a plan looks up for every call, made once.
type prepared struct {
	of        *Plan // a copy of a prepared plan is not prepared
	trunks    map[string]int
	networks  map[netip.Prefix]int
	bits      []int             // the lengths of networks, the longest first
	numbers   map[string]string // our own → trunk, may be empty
	routes    []preparedRoute
	countries []string // of the trunks by which from_room routes leave, each once
	headers   []string
	emergencies
}

// preparedRoute is a route with its texts parsed.
type preparedRoute struct {
	hours    hours
	bad      bool // its hours cannot be read: it is closed
	holidays days
	exits    []string // names of the trunks by which a from_room route leaves
	headers  []string // names of its header conditions, sorted
}

// Prepare makes the plan ready for many calls and returns it. It is called once,
// before the plan is shared; afterwards the plan must not change. A plan that is
// not prepared decides the same, but reads its networks and hours for each call.
func (p *Plan) Prepare() *Plan {
	p.ready = newPrepared(p)
	return p
}

func (p *Plan) prepared() *prepared {
	if p.ready != nil && p.ready.of == p {
		return p.ready
	}
	return newPrepared(p)
}

func newPrepared(p *Plan) *prepared {
	x := &prepared{
		of: p, trunks: make(map[string]int, len(p.Trunks)),
		networks: map[netip.Prefix]int{}, numbers: make(map[string]string, len(p.Numbers)),
		emergencies: p.emergencies(),
	}
	for i := range p.Trunks {
		x.addTrunk(i, &p.Trunks[i])
	}
	for _, n := range p.Numbers {
		x.numbers[n.Number] = n.Trunk
	}
	calendars := make(map[string]days, len(p.Holidays))
	for _, h := range p.Holidays {
		calendars[h.Name] = h.days()
	}
	wanted := map[string]string{}
	for i := range p.Routes {
		x.routes = append(x.routes, prepareRoute(&p.Routes[i], calendars))
		x.addCountries(p, &p.Routes[i], x.routes[i].exits)
		want(wanted, x.routes[i].headers)
	}
	for _, t := range p.Trunks {
		if t.Headers != nil {
			want(wanted, slices.Sorted(maps.Keys(t.Headers.In)))
		}
	}
	x.headers = slices.Sorted(maps.Values(wanted))
	return x
}

func (x *prepared) addTrunk(i int, t *Trunk) {
	if _, taken := x.trunks[t.Name]; !taken {
		x.trunks[t.Name] = i
	}
	for _, a := range t.Addresses {
		network, err := parseNetwork(a)
		if err != nil {
			continue
		}
		x.networks[network] = i
		if at, found := slices.BinarySearchFunc(x.bits, network.Bits(), func(a, b int) int { return cmp.Compare(b, a) }); !found {
			x.bits = slices.Insert(x.bits, at, network.Bits())
		}
	}
}

// addCountries notes how a national number that leaves by a route would be read.
func (x *prepared) addCountries(p *Plan, r *Route, exits []string) {
	if !r.FromRoom {
		return
	}
	for _, country := range p.countriesOf(exits, x) {
		if !slices.Contains(x.countries, country) {
			x.countries = append(x.countries, country)
		}
	}
}

func want(wanted map[string]string, names []string) {
	for _, name := range names {
		if lower := strings.ToLower(name); wanted[lower] == "" {
			wanted[lower] = name
		}
	}
}

func prepareRoute(r *Route, calendars map[string]days) preparedRoute {
	h, err := parseHours(r.Hours)
	ready := preparedRoute{
		hours: h, bad: err != nil, holidays: calendars[r.Holidays],
		headers: slices.Sorted(maps.Keys(r.Headers)),
	}
	if r.FromRoom {
		ready.exits = r.trunks()
	}
	return ready
}

// trunkOf finds the most specific network that holds an address.
func (x *prepared) trunkOf(source netip.Addr) (int, bool) {
	for _, bits := range x.bits {
		if network, err := source.Prefix(bits); err == nil {
			if i, ok := x.networks[network]; ok {
				return i, true
			}
		}
	}
	return 0, false
}

// HeaderNames are the header fields and attributes that routes and header maps
// look at, each once, in the spelling of the plan; signalling reads these beside
// X- header fields. The slice belongs to the plan.
func (p *Plan) HeaderNames() []string { return p.prepared().headers }
