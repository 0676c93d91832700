package bridge

import (
	"testing"

	"github.com/roomline/roomline/media"
)

// BenchmarkManyRoads is BenchmarkRoad with 50 calls in turn, whose encoders do
// not fit into the processor's nearest caches together.
func BenchmarkManyRoads(b *testing.B) {
	var push []func()
	for range 50 {
		p, _ := oneRoad(b, media.PCMU, media.Opus)
		push = append(push, p)
	}
	for i := range 100 * len(push) {
		push[i%len(push)]()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		push[i%len(push)]()
	}
}
