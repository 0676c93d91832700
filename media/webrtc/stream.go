package webrtc

import (
	"encoding/binary"
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

// streams are a Peer's streams by SSRC: the incoming ones as pion's buffers. Its lock
// is taken inside pion's locks, and none is taken inside it.
type streams struct {
	log *slog.Logger

	mu     sync.Mutex
	bySSRC map[uint32]*stream
	outs   map[uint32]*OutTrack
}

func newStreams(log *slog.Logger) *streams {
	return &streams{log: log, bySSRC: make(map[uint32]*stream), outs: make(map[uint32]*OutTrack)}
}

// buffer is pion's BufferFactory.
func (ss *streams) buffer(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	queue := packetio.NewBuffer()
	if kind != packetio.RTPBufferPacket {
		queue.SetLimitSize(rtcpQueue)
		return &control{queue, ss, ssrc}
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

// send notes which track has an outgoing stream.
func (ss *streams) send(ssrc uint32, t *OutTrack) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.outs[ssrc] = t
}

func (ss *streams) sendNoMore(ssrc uint32, t *OutTrack) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.outs[ssrc] == t {
		delete(ss.outs, ssrc)
	}
}

// tracks are those of a stream, in or out; nil if there is none.
func (ss *streams) tracks(ssrc uint32) (*InTrack, *OutTrack) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.bySSRC[ssrc]; s != nil {
		return s.owner.Load(), ss.outs[ssrc]
	}
	return nil, ss.outs[ssrc]
}

func (ss *streams) forget(ssrc uint32, s *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.bySSRC[ssrc] == s {
		delete(ss.bySSRC, ssrc)
	}
}

// stream stands between the goroutines in which packets are decrypted and the one
// that reads the track. Packets of sound are handed over right where they were
// decrypted: that saves a copy and a wake-up for each. All others go through the
// queue: those before [stream.attach], those of a payload type not seen yet,
// which pion has to look up, and pictures.
type stream struct {
	queue  *packetio.Buffer
	log    *slog.Logger
	forget func()
	closed atomic.Bool
	owner  atomic.Pointer[InTrack] // nil before pion has announced the track

	mu     sync.Mutex // held while the track takes a packet
	track  *InTrack   // nil: everything is queued
	window window     // of both roads
	plain  []byte     // what the short road decrypted
	mixed  bool       // some packets have come by it
	pion   turns      // to have one too
	order  order
}

// Write implements io.Writer for one decrypted RTP packet, which came by pion's road.
func (s *stream) Write(raw []byte) (int, error) {
	if s.closed.Load() {
		return 0, io.ErrClosedPipe
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(raw) >= 4 {
		i := s.window.index(binary.BigEndian.Uint16(raw[2:]))
		if s.mixed && !s.window.fresh(i) {
			return len(raw), nil // came by the short road before
		}
		s.window.saw(i)
		s.order.came(i)
	}
	if s.directLocked(raw, time.Now()) {
		return len(raw), nil
	}
	return s.queue.Write(raw)
}

// take decrypts a packet that came by the short road, counts it and gives it to the
// track; false: pion shall have it.
func (s *stream) take(b []byte, key *cryptor, count *atomic.Uint64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() || !s.window.started || !s.knowsLocked(b) {
		return false
	}
	ssrc, i := binary.BigEndian.Uint32(b[8:]), s.window.index(binary.BigEndian.Uint16(b[2:]))
	if !s.window.fresh(i) {
		return true
	}
	if s.order.wait(i, s.queue.Count() > 0) {
		return false
	}
	plain, err := key.open(s.plain[:0], b, ssrc, uint32(i>>16))
	if err != nil {
		s.track.discarded()
		return true
	}
	s.window.saw(i)
	s.mixed = true
	count.Add(1)
	s.directLocked(plain, now)
	if !s.pion.due(now) {
		return true
	}
	s.pion.taken(now)
	return false // Write will know it again
}

// knowsLocked reports whether there is a track that knows the payload type.
func (s *stream) knowsLocked(raw []byte) bool {
	return s.track != nil && len(raw) >= 2 && s.track.known[raw[1]&0x7f]
}

// directLocked gives the packet to the track, if there is one that knows its payload type.
func (s *stream) directLocked(raw []byte, now time.Time) (taken bool) {
	if !s.knowsLocked(raw) {
		return false
	}
	defer func() {
		if v := recover(); v != nil { // costs this track alone, as in its own goroutine
			s.log.Error("webrtc: panic", "in", "packet", "panic", v, "stack", string(debug.Stack()))
			s.Close()
			taken = true
		}
	}()
	s.track.read(raw, s.track.types[raw[1]&0x7f], now)
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
	s.plain = make([]byte, maxPacket)
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
