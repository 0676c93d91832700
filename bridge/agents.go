package bridge

import "encoding/json"

// Agents leases AI voices and sends them into rooms; agent.House is one.
type Agents interface {
	// Send leases an agent and sends it into a room. It returns at once; what
	// becomes of it arrives as events of the leg. An error, of code NotFound,
	// LimitReached or Unavailable, means that none could be leased.
	Send(spec AgentSpec) (AgentLeg, error)
}

// AgentSpec says which agent comes into which room, and what it is told.
type AgentSpec struct {
	Agent      string            // its name in the dial plan
	Room       string            // an open room, or one that opens with it
	CallID     string            // the call that it serves; empty: it came into a room by itself
	From, To   string            // of that call, told as from_number and to_number
	Direction  Direction         // of that call
	HeardBy    string            // see [JoinSpec]; empty: everybody
	Parameters map[string]string // told besides the agent's own, which they override
	Handover   *Handover         // what was before it came; nil: nothing
	Withheld   bool              // it is not heard, and hears nothing, until [AgentLeg.Admit]
}

// Handover is what whoever takes a call over gets to know: a person before they
// accept, an agent when it starts.
type Handover struct {
	By         string          `json:"by,omitempty"`         // who hands over: an agent's name, an identity
	Reason     string          `json:"reason,omitempty"`     // in words
	Summary    string          `json:"summary,omitempty"`    // in words
	Data       json.RawMessage `json:"data,omitempty"`       // whatever the one who hands over wants to pass on, JSON
	Transcript []Utterance     `json:"transcript,omitempty"` // what was said so far
}

// AgentLeg is an agent in a room. Its methods are safe for concurrent use and do
// not wait.
type AgentLeg interface {
	// Events delivers what happens, AgentEnded last, then is closed. It is
	// buffered so that the agent never waits for who reads it.
	Events() <-chan AgentEvent
	// Participant is its seat; nil before AgentReady.
	Participant() *Participant
	// Worker names the program that was leased, for people to read.
	Worker() string
	// Admit lets an agent that was sent Withheld hear and be heard.
	Admit()
	// End says goodbye to the agent in the way of its protocol and gives it back.
	// AgentEnded follows. It may be called at any time, again too.
	End(reason string)
}

// Informed is what an AgentLeg may be, too: one whose protocol has a way to tell
// the agent something in words that nobody has said. Inform does not wait.
type Informed interface{ Inform(words string) }

// AgentEventKind says what happened to an agent.
type AgentEventKind uint8

// What happens to an agent, in the order it can happen.
const (
	AgentReady  AgentEventKind = iota + 1 // its connection is up, it has been told of the call, and it has its seat
	AgentSpoke                            // the first sound of a turn of it is on its way to the room
	AgentSilent                           // it has not answered for longer than its patience; again after the next turn of the caller
	AgentEnded                            // the last event; Fault says why
)

// AgentEvent is one step in an agent's life.
type AgentEvent struct {
	Kind   AgentEventKind
	Fault  Fault  // AgentEnded
	Reason string // in words
}

// Fault is why an agent's leg ended. FaultNone is a goodbye, of either side.
type Fault string

// Faults of agents.
const (
	FaultNone     Fault = ""
	FaultRefused  Fault = "refused"   // it could not be reached, or refused the handshake
	FaultTimeout  Fault = "timeout"   // its handshake took too long
	FaultGone     Fault = "gone"      // its connection broke
	FaultSilent   Fault = "silent"    // it does not answer pings any more
	FaultSlow     Fault = "slow"      // it does not take the sound that it is sent
	FaultGarbage  Fault = "garbage"   // it sent what its protocol does not know
	FaultFlood    Fault = "flood"     // it sent more than may wait, or too many messages
	FaultTooLarge Fault = "too_large" // a message of it was larger than any may be
	FaultInternal Fault = "internal"  // ours; the log says more
)
