package webrtc

import (
	"strings"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
)

const twccURI = sdp.TransportCCURI

// interceptorRegistry holds what video needs, and nothing for audio: pion's
// report interceptors allocate a map and a header for every packet they see,
// so reports are our own (report.go), and the others are wrapped so that a
// Peer without video runs none of their goroutines.
func interceptorRegistry() (*interceptor.Registry, error) {
	responder, err := nack.NewResponderInterceptor(nack.ResponderSize(512))
	if err != nil {
		return nil, err
	}
	generator, err := nack.NewGeneratorInterceptor(nack.GeneratorMaxNacksPerPacket(8))
	if err != nil {
		return nil, err
	}
	feedback, err := twcc.NewSenderInterceptor()
	if err != nil {
		return nil, err
	}
	r := &interceptor.Registry{}
	r.Add(responder)
	r.Add(videoOnly{generator})
	r.Add(videoOnly{feedback})
	return r, nil
}

// videoOnly makes interceptors that start with the first remote video stream.
type videoOnly struct{ inner interceptor.Factory }

// NewInterceptor implements interceptor.Factory.
func (f videoOnly) NewInterceptor(id string) (interceptor.Interceptor, error) {
	inner, err := f.inner.NewInterceptor(id)
	if err != nil {
		return nil, err
	}
	return &sleeper{Interceptor: inner}, nil
}

// sleeper delays BindRTCPWriter, with which its inner interceptor starts a
// goroutine and a ticker, until there is video. Both inner interceptors return
// the writer as it is, which makes this sound.
type sleeper struct {
	interceptor.Interceptor

	mu     sync.Mutex
	writer interceptor.RTCPWriter
	awake  bool
}

// BindRTCPWriter implements interceptor.Interceptor.
func (s *sleeper) BindRTCPWriter(w interceptor.RTCPWriter) interceptor.RTCPWriter {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer = w
	return w
}

// BindRemoteStream implements interceptor.Interceptor.
func (s *sleeper) BindRemoteStream(info *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	if !strings.HasPrefix(info.MimeType, "video/") {
		return r
	}
	s.mu.Lock()
	if !s.awake && s.writer != nil {
		s.awake = true
		s.Interceptor.BindRTCPWriter(s.writer)
	}
	s.mu.Unlock()
	return s.Interceptor.BindRemoteStream(info, r)
}
