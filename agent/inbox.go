package agent

import (
	"sync"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Bounds of what waits for the writer.
const (
	mostFrames = 100   // 2 s of sound: an agent that takes no more is too slow
	mostKeys   = 1000  // nobody presses as many
	mostMarks  = 20000 // more than a Speaker lets wait, twice
	mostNews   = 100   // an agent that takes no more has other troubles
)

// inbox holds what goes to the agent until the leg's writer fetches it. Packets
// and the beat put things in: it never blocks them, and allocates nothing for
// sound.
type inbox struct {
	wake chan struct{} // holds one when there is something

	mu     sync.Mutex
	frames [mostFrames]frame
	head   int
	count  int
	keys   []rtp.Digit
	marks  []string
	news   []string // in words
}

// frame is 20 ms of µ-law.
type frame struct {
	n     int64
	sound [media.FrameSamples]byte
}

// take puts a frame in; it reports whether there was room.
func (b *inbox) take(sound []byte, n int64) bool {
	b.mu.Lock()
	fits := b.count < mostFrames
	if fits {
		f := &b.frames[(b.head+b.count)%mostFrames]
		f.n = n
		copy(f.sound[:], sound)
		b.count++
	}
	b.mu.Unlock()
	b.ring()
	return fits
}

func (b *inbox) putKey(k rtp.Digit) (fits bool) {
	b.mu.Lock()
	if fits = len(b.keys) < mostKeys; fits {
		b.keys = append(b.keys, k)
	}
	b.mu.Unlock()
	b.ring()
	return fits
}

func (b *inbox) putMark(name string) (fits bool) {
	b.mu.Lock()
	if fits = len(b.marks) < mostMarks; fits {
		b.marks = append(b.marks, name)
	}
	b.mu.Unlock()
	b.ring()
	return fits
}

// putNews drops what is too much: it is not worth the call.
func (b *inbox) putNews(words string) {
	b.mu.Lock()
	if len(b.news) < mostNews {
		b.news = append(b.news, words)
	}
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) fetchNews() (news []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news, b.news = b.news, nil
	return news
}

// ring wakes the writer.
func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default: // it has not yet looked
	}
}

// fetch takes the oldest frame out.
func (b *inbox) fetch(f *frame) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count == 0 {
		return false
	}
	*f = b.frames[b.head]
	b.head, b.count = (b.head+1)%mostFrames, b.count-1
	return true
}

// fetchKeys takes all keys and marks out.
func (b *inbox) fetchKeys() (keys []rtp.Digit, marks []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys, marks, b.keys, b.marks = b.keys, b.marks, nil, nil
	return keys, marks
}

// behind reports whether frames wait that should have gone long ago.
func (b *inbox) behind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count > mostFrames/4
}
