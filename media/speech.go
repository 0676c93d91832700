package media

import (
	_ "embed"
	"slices"
)

//go:generate ./speech.sh

//go:embed speech.ul
var speech []byte

// Speech returns a recorded emergency call, four sentences spoken by a
// synthesiser (speech.sh), 8 kHz mono µ-law without a header, 10 to 15 s. The
// caller owns the copy.
func Speech() []byte { return slices.Clone(speech) }
