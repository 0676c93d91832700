//go:build race

package sip

// raceOn says that everything takes ten times as long, and that pools forget on purpose.
const raceOn = true
