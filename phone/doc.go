// Package phone is a softphone for people, tests, the demonstration and
// measurements: it places and answers calls with our own SIP user agent, says
// what it is told to say, keeps what it hears, and reports how well it went.
//
// It owns the pacing of what is sent (absolute deadlines), the order and place
// in time of what is heard, the report, and the commands "roomline phone dial"
// and "roomline phone answer". Signalling is sip's, packets are media/rtp's,
// codecs are transcode's. It mixes nothing and plays to no sound card.
//
// Goroutines, all waited for by [Phone.Close]: the SIP user agent's; per call one
// that reads its Line's events, and from the answer to the end one that speaks.
// Packets are heard on the goroutine of the RTP session that read them.
package phone
