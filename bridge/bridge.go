// Package bridge joins legs: it owns Calls, Rooms, Persons, who hears whom, and
// the roads on which sound travels between them. It works with phones alone;
// browsers, agents and recorders connect to it through the few interfaces that
// it declares ([Line], [Dialer], [media.Writer]). It speaks no SIP, no WebRTC
// and no SQL.
//
// # The road of a packet
//
// The goroutine that read a packet carries it all the way: [Source.Push] puts
// it in order, decodes it once, and hands it to the Sinks in the source's
// fan-out, an immutable snapshot behind an atomic pointer that only membership
// changes replace. A [Sink] owns the sequence numbers and timestamps of one
// outgoing stream and never restarts them.
//
// # Goroutines
//
//   - one per live Call ([Exchange] starts and waits for it),
//   - the beat: one per CPU, serving mixed and paced sinks every 20 ms.
//
// Control code takes Room.mu; packets take Source.mu and then Sink.mu, each
// contended only while the road is being switched.
package bridge
