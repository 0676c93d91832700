//go:build long

package main

import "testing"

// A call of more than a minute, with ten interruptions.
func TestOpenAIAgentsSDKSoak(t *testing.T) { agentsSDKHoldsACall(t, 20) }
