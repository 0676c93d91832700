//go:build !race

package sip

const raceOn = false
