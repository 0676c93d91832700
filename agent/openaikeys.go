package agent

import "github.com/roomline/roomline/media/rtp"

// pressed is a row of keys that the model has not been told of.
type pressed struct {
	keys []byte
	at   int64 // the last one, in frames
}

// Ends of a row of keys: a pause in frames, a key, a length.
const (
	keysPause = 75
	keysEnd   = '#'
	mostInRow = 100
)

// key interrupts the agent, and waits for more keys.
func (o *openai) key(k rtp.Digit) error {
	if len(o.pressed.keys) == 0 {
		if err := o.interrupt(true); err != nil {
			return err
		}
	}
	o.pressed.keys, o.pressed.at = append(o.pressed.keys, byte(k.Key)), o.sent
	if k.Key == keysEnd || len(o.pressed.keys) >= mostInRow {
		return o.tellKeysAfter(0)
	}
	return nil
}

// tellKeysAfter tells of the keys once the pause after them is long enough: the
// model answers to all of them together.
func (o *openai) tellKeysAfter(pause int64) error {
	if len(o.pressed.keys) == 0 || o.sent-o.pressed.at < pause {
		return nil
	}
	row := string(o.pressed.keys)
	o.pressed.keys = o.pressed.keys[:0]
	if err := o.message("user", "(The caller has pressed "+row+" on the telephone's keys.)"); err != nil {
		return err
	}
	return o.respond("")
}
