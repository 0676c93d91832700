//go:build long

package amd

import "testing"

func TestAThousandAnswersAreKnown(t *testing.T) { judge(t, corpus(t, 400)) }
