package simulate

import (
	_ "embed"
	"slices"
)

//go:embed sample.yaml
var sample []byte

// Sample is a suite with comments, to start from. The caller owns the copy.
func Sample() []byte { return slices.Clone(sample) }
