// Package sip is the gateway's SIP user agent: it answers and places calls on
// trunks and hands them to the bridge as Lines.
//
// It owns the addresses that are listened on (their sockets are sip/socket's),
// dialogs (RFC 3261 section 12, plain data in [Dialog]), SDP offer and answer
// (RFC 3264) with early media (RFC 3262) and UPDATE (RFC 3311), session timers
// (RFC 4028), digest credentials towards trunks, and the table between SIP
// responses and bridge.Cause. Each [Line] opens one rtp.Session and tells it
// what SDP agreed on; the packets themselves are none of its business. Whether
// a caller is trusted and where a call goes is decided by the bridge, which is
// asked through Config.Admit before anything is allocated.
//
// From sipgo it takes transactions, the message grammar and the writing of
// messages; no sipgo type leaves this package.
//
// Beside calls it serves the trunks of the plan: it finds their servers (locate.go,
// SRV and the last good answer), keeps which of them are out of order (health.go)
// and leaves those for the next (failover.go), registers (register.go) and asks
// whether they live (keepalive.go), and has a trunk test itself (probe.go). A
// stranger must show a trunk's password (accounts.go); who guesses is banned (ban.go).
//
// What arrives meets, in this order: a socket and the guard
// (sip/socket, with the rules of sip/grammar), sipgo's parser and transactions, requests.go, and the
// goroutine of its Line, which runs one message after the other.
//
// A call's road through the files: inbound.go or outbound.go make its Line;
// answer.go, early.go and prack.go or invite.go and ack.go bring it up; reinvite.go,
// update.go and timer.go keep it; refer.go, notify.go, transfer.go, replaces.go and
// info.go are what the peers do with it; bye.go and cancel.go end it. line.go is
// the Line's goroutine, reach.go sends its requests.
//
// Goroutines, all waited for before [UA.Run] returns unless said otherwise:
//   - per UDP socket one of sipgo's that reads, and up to eight retired ones that
//     wait (see socket.Reader)
//   - per TCP and TLS listener one that accepts and one that closes it at the end;
//     per connection one that waits for the first message, then one of sipgo's that
//     reads, which ends when the connection is closed
//   - per message one of sipgo's, which finds the Line and leaves; recover stands at its root
//   - one for the plan's trunks; per trunk that registers or is kept alive up to
//     three, and during an OPTIONS one per address
//   - per Line one, which owns all of the Line's state; short-lived ones beside it
//     look up names, connect, and await answers that nobody else awaits
package sip
