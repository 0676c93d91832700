//go:build race

package rtp

// raceOn says that everything takes ten times as long, and that pools forget on purpose.
const raceOn = true
