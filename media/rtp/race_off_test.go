//go:build !race

package rtp

const raceOn = false
