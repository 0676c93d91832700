// Package rtp speaks RTP and RTCP with one peer over one pair of UDP ports:
// RFC 3550 sessions, RFC 3551 audio, RFC 4733 digits, SRTP (RFC 3711) with
// keys from SDP or from DTLS (RFC 5764), and putting packets back
// in order. It knows no signalling: [Params] says what SDP agreed on. It
// decodes no sound and keeps no jitter buffer.
//
// Goroutines: one per session sends RTCP reports, and one per port does a DTLS handshake
// if it needs one; reading is done by the goroutines of a shared poller on Linux,
// and by two per session elsewhere. Callbacks run on the reading goroutine.
// [Session.Close] waits for all of them; those of pion's DTLS end by themselves.
package rtp
