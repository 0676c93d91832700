package bridge

import (
	"testing"
	"unsafe"
)

// Most of a call's memory is codecs, and of what is ours most would lie idle.
// 32,768 bytes are the last size that Go does not round up to pages.
func TestStreamsAreSmall(t *testing.T) {
	for name, size := range map[string][2]uintptr{
		"Source":   {unsafe.Sizeof(Source{}), 32768},
		"Sink":     {unsafe.Sizeof(Sink{}), 4096},
		"encoding": {unsafe.Sizeof(encoding{}), 2048},
	} {
		if size[0] > size[1] {
			t.Errorf("%s takes %d bytes, want %d at most: let what few need be lazy", name, size[0], size[1])
		}
	}
}
