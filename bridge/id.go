package bridge

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns prefix, an underscore and 26 characters that sort by creation
// time (48 bits of milliseconds) and cannot be guessed (80 random bits).
func NewID(prefix string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli())<<16)
	rand.Read(b[6:])
	return prefix + "_" + idAlphabet.EncodeToString(b[:])
}

// eventClock hands out event ids: nanoseconds since 1970 as 16 hexadecimal
// digits, strictly increasing even when the system clock is not, then 4 that tell
// gateways apart which share a database.
type eventClock struct {
	last atomic.Int64
	once sync.Once
	ours string
}

func (c *eventClock) next(now time.Time) string {
	c.once.Do(func() {
		var b [2]byte
		rand.Read(b[:])
		c.ours = hex.EncodeToString(b[:])
	})
	for {
		last := c.last.Load()
		n := max(now.UnixNano(), last+1)
		if c.last.CompareAndSwap(last, n) {
			s := strconv.FormatInt(n, 16)
			return "0000000000000000"[:16-len(s)] + s + c.ours
		}
	}
}
