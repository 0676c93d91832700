package webrtc

import (
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v4/packetio"
)

// What may wait in a stream's queue, in bytes; more is dropped. pion's own limits.
const (
	rtpQueue  = 1000 * 1000
	rtcpQueue = 100 * 1000
)

// streams are a Peer's incoming RTP streams by SSRC, as pion's buffers. Its lock
// is taken inside pion's locks, and none is taken inside it.
type streams struct {
	log *slog.Logger

	mu     sync.Mutex
	bySSRC map[uint32]*stream
}

func newStreams(log *slog.Logger) *streams {
	return &streams{log: log, bySSRC: make(map[uint32]*stream)}
}

// buffer is pion's BufferFactory.
func (ss *streams) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	queue := packetio.NewBuffer()
	if kind != packetio.RTPBufferPacket {
		queue.SetLimitSize(rtcpQueue)
		return queue
	}
	queue.SetLimitSize(rtpQueue)
	s := &stream{queue: queue, log: ss.log}
	s.forget = func() { ss.forget(ssrc, s) }
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.bySSRC[ssrc] = s
	return s
}

// find is nil for a stream that has ended.
func (ss *streams) find(ssrc uint32) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.bySSRC[ssrc]
}

func (ss *streams) forget(ssrc uint32, s *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.bySSRC[ssrc] == s {
		delete(ss.bySSRC, ssrc)
	}
}

// stream stands between the goroutine in which pion decrypts and the one that
// reads the track. Packets of sound are handed over right where they were
// decrypted: that saves a copy and a wake-up for each. All others go through the
// queue: those before [stream.attach], those of a payload type not seen yet,
// which pion has to look up, and pictures.
type stream struct {
	queue  *packetio.Buffer
	log    *slog.Logger
	forget func()
	closed atomic.Bool

	mu    sync.Mutex // held while the track takes a packet
	track *InTrack   // nil: everything is queued
}

// Write implements io.Writer for one decrypted RTP packet.
func (s *stream) Write(raw []byte) (int, error) {
	if s.closed.Load() {
		return 0, io.ErrClosedPipe
	}
	if s.direct(raw) {
		return len(raw), nil
	}
	return s.queue.Write(raw)
}

// direct gives the packet to the track, if there is one that knows its payload type.
func (s *stream) direct(raw []byte) (taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.track == nil || len(raw) < 2 {
		return false
	}
	codec, known := s.track.types[raw[1]&0x7f], s.track.known[raw[1]&0x7f]
	if !known {
		return false
	}
	defer func() {
		if v := recover(); v != nil { // costs this track alone, as in its own goroutine
			s.log.Error("webrtc: panic", "in", "packet", "panic", v, "stack", string(debug.Stack()))
			s.Close()
			taken = true
		}
	}()
	s.track.read(raw, codec, time.Now())
	return true
}

// attach makes t take packets directly from now on, if none is waiting that
// came before.
func (s *stream) attach(t *InTrack) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.Count() > 0 {
		return false
	}
	s.track = t
	return true
}

// detach waits for the packet under way; the track gets no more.
func (s *stream) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track = nil
}

// Read implements io.Reader: what was queued, then io.EOF after Close.
func (s *stream) Read(b []byte) (int, error) { return s.queue.Read(b) }

// SetReadDeadline is for pion's deadline on tracks.
func (s *stream) SetReadDeadline(t time.Time) error { return s.queue.SetReadDeadline(t) }

// Close ends the stream, and with it the track's read loop. It does not wait for
// a packet under way.
func (s *stream) Close() error {
	s.closed.Store(true)
	s.forget()
	return s.queue.Close()
}
