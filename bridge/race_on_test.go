//go:build race

package bridge

// raceOn says that everything takes ten times as long.
const raceOn = true
