package dialplan

import "net/netip"

// TrunkOf finds the trunk that a source address belongs to: the most specific
// network wins. IPv4 in IPv6 form counts as IPv4.
func (p *Plan) TrunkOf(source netip.Addr) (Trunk, bool) { return Trunk{}, false }

// TrunkNamed finds a trunk by its name.
func (p *Plan) TrunkNamed(name string) (Trunk, bool) { return Trunk{}, false }
