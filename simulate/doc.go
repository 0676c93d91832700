// Package simulate tests voice agents by calling them: scripted callers that dial
// by SIP, speak, press keys, wait for what they hear, and measure from the waveform
// how fast they are answered and how soon they may interrupt.
//
// It owns the suite file (docs/simulate.md), the run of its scenarios, the figures,
// and the reports. SIP and RTP are phone's; words become sound and sound words by
// the [Tools] that it is given.
//
// Times within a scenario are durations from the answer, unless a comment says
// otherwise; sound that came before it, as early media, has negative ones.
//
// Goroutines, all waited for by [Run]: one per scenario under way, and those of the
// one phone that all of them share.
package simulate
