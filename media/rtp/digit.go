package rtp

import "time"

// Digit is one key of the peer's keypad.
type Digit struct {
	Key      rune          // 0-9 * # A-D
	Duration time.Duration // as far as it was known when it was reported
}
