// Package socket is where SIP messages come in and go out: UDP sockets, and TCP
// and TLS connections with their bounds, each as the connection that sipgo's
// transport layer reads.
//
// Nothing reaches sipgo that has not passed the [Guard]: whole messages only,
// checked by the rules of sip/grammar, none from those who are banned ([Bans]).
// What is broken is answered here, statelessly. Every message, sound or not, is
// shown to a [Tap].
//
// It knows no dialogs, no calls and no trunks: who is known and who is struck it
// asks. It starts no goroutine; those that read are sipgo's and the user agent's.
package socket
