//go:build !race

package bridge

const raceOn = false
