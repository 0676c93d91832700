package bridge

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

const (
	silentDB     = -127.0
	speakingDB   = -45.0
	levelHolds   = 300 * time.Millisecond
	levelSilence = time.Second
)

// level is how loud a source is, written by its packets and read by anybody.
type level struct {
	db   atomic.Uint64 // bits of a float64, dBov
	loud atomic.Int64  // when it was last louder than speakingDB, Unix nanoseconds
	at   atomic.Int64  // when it was last measured
}

// measure follows the sound up at once and down in about 100 ms.
func (l *level) measure(pcm []int16, now time.Time) {
	db := media.Level(pcm)
	if old := math.Float64frombits(l.db.Load()); db < old && l.at.Load() != 0 {
		db = old + (db-old)/4
	}
	l.db.Store(math.Float64bits(db))
	l.at.Store(now.UnixNano())
	if db > speakingDB {
		l.loud.Store(now.UnixNano())
	}
}

func (l *level) read(now time.Time) float64 {
	if now.UnixNano()-l.at.Load() > int64(levelSilence) {
		return silentDB
	}
	return math.Float64frombits(l.db.Load())
}

func (l *level) speaking(now time.Time) bool {
	return now.UnixNano()-l.loud.Load() < int64(levelHolds)
}
