package bridge

import "time"

// TrunkState is how a trunk stands at this moment, as this gateway sees it.
type TrunkState struct {
	Name          string        `json:"name"`
	Registration  string        `json:"registration,omitempty"` // registered | trying | failed; empty: it does not register
	RegisteredAt  *time.Time    `json:"registered_at,omitempty"`
	ExpiresAt     *time.Time    `json:"expires_at,omitempty"`
	RegisterError string        `json:"register_error,omitempty"` // in words, with the likely cause
	Servers       []ServerState `json:"servers,omitempty"`        // in the order in which they would be tried now
}

// ServerState is how one server of a trunk stands.
type ServerState struct {
	Server    string     `json:"server"`               // as in the plan
	Address   string     `json:"address,omitempty"`    // transport:ip:port it leads to
	State     string     `json:"state"`                // up | down | unknown
	Reason    string     `json:"reason,omitempty"`     // why it is down, in words
	RTTMS     float64    `json:"rtt_ms,omitempty"`     // of the last OPTIONS
	CheckedAt *time.Time `json:"checked_at,omitempty"` // when that was
}

// TrunkStep is one step of a trunk that tests itself.
type TrunkStep struct {
	Name   string  `json:"name"`           // dns | connect | tls | options | register | call | audio
	Result string  `json:"result"`         // ok | failed | skipped
	Words  string  `json:"words"`          // what was seen
	Hint   string  `json:"hint,omitempty"` // what to do about it
	MS     float64 `json:"ms"`
}

// TrunkTest says what a trunk's test does.
type TrunkTest struct {
	To     string        // number for a test call; empty: no call
	From   string        // its caller id; empty: the trunk's default
	Listen time.Duration // how long the test call is listened to; 0: 3 s
}
