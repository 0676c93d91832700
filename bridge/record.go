package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
)

// State is where a Call stands. Calls move forward only:
//
//	inbound   ringing ─→ active ⇄ held ─→ ended
//	outbound  queued ─→ dialing ─→ ringing ─→ early ─→ active ⇄ held ─→ ended
//
// and from every state straight to ended. An inbound call rings while a number is
// dialled for it, whatever the caller hears; it is active while it keys a PIN.
type State string

// The states of a Call.
const (
	StateQueued  State = "queued"
	StateDialing State = "dialing"
	StateRinging State = "ringing"
	StateEarly   State = "early" // early media is heard
	StateActive  State = "active"
	StateHeld    State = "held"
	StateEnded   State = "ended"
)

// Direction of a Call, as seen from us.
type Direction string

// The two directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// CallRecord is a Call as outsiders see it, live or ended; the API's call
// object. Times are UTC; AnsweredAt and EndedAt are nil until they happen.
type CallRecord struct {
	ID         string            `json:"id"`
	State      State             `json:"state"`
	Direction  Direction         `json:"direction"`
	From       string            `json:"from"`
	To         string            `json:"to"`
	Room       string            `json:"room,omitempty"`
	AnsweredBy string            `json:"answered_by,omitempty"` // of an outbound call that asked: human, machine, fax, unknown
	Agent      string            `json:"agent,omitempty"`       // the AI voice that serves it, or did last
	Trunk      string            `json:"trunk,omitempty"`
	Route      string            `json:"route,omitempty"`
	ParentID   string            `json:"parent_id,omitempty"`
	Cause      Cause             `json:"cause,omitempty"`
	Reason     string            `json:"reason,omitempty"` // the cause in words
	SIPCode    int               `json:"sip_code,omitempty"`
	SIPCallID  string            `json:"sip_call_id,omitempty"`
	Codec      string            `json:"codec,omitempty"`
	Security   string            `json:"security,omitempty"` // of the media: sdes AES_CM_128_HMAC_SHA1_80, dtls …; empty: none
	Asserted   string            `json:"asserted,omitempty"` // the caller as the trunk asserts it, RFC 3325
	Private    bool              `json:"private,omitempty"`  // the caller asks not to be shown
	Diversion  []string          `json:"diversion,omitempty"`
	Verstat    string            `json:"verstat,omitempty"`    // TN-Validation-Passed-A and so on; empty: not verified
	Attributes map[string]string `json:"attributes,omitempty"` // from header fields of the INVITE
	Muted      bool              `json:"muted,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	AnsweredAt *time.Time        `json:"answered_at,omitempty"`
	EndedAt    *time.Time        `json:"ended_at,omitempty"`
	Queue      string            `json:"queue,omitempty"`       // where it waits or waited for people, the last one
	WaitedMS   int64             `json:"waited_ms,omitempty"`   // in that queue, until it was accepted or left
	AcceptedBy string            `json:"accepted_by,omitempty"` // who took it there: an identity, a phone's name or number
	Quality    *media.Quality    `json:"quality,omitempty"`
	Transfer   *TransferRecord   `json:"transfer,omitempty"` // the newest warm one
	Hearing    []HeardSpan       `json:"hearing,omitempty"`  // who could hear whom; left out of events and lists
}

// CDR is the one row written when a Call ends.
type CDR struct {
	CallRecord
	DurationMS int64 `json:"duration_ms"` // from answer to end; 0 when never answered
	RingMS     int64 `json:"ring_ms"`     // from creation to answer or end

	Trend *media.QualityTrend `json:"quality_trend,omitempty"` // absent for calls of less than five seconds
}

// Event is something that happened, in the order it happened. IDs are unique,
// of one width, and sort by time.
//
// What participants do: participant.joined, .left, track.published,
// track.ended; and participant.quality, when the class of a leg's quality turns
// (class and was: good, fair, poor or bad; quality: a [media.QualityPoint] of the
// last seconds), at most once in 10 s per leg.
type Event struct {
	ID     string         `json:"id"`
	Type   string         `json:"type"` // call.created, participant.joined, …; see [Call] for those of calls
	Time   time.Time      `json:"time"`
	CallID string         `json:"call_id,omitempty"`
	Room   string         `json:"room,omitempty"`
	Data   map[string]any `json:"data,omitempty"`
}

// Refusal is an INVITE that never became a Call, and why.
type Refusal struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Source    string    `json:"source"` // address:port it came from
	Transport string    `json:"transport"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	SIPCallID string    `json:"sip_call_id,omitempty"`
	SIPCode   int       `json:"sip_code"`
	Cause     Cause     `json:"cause"`
	Reason    string    `json:"reason"` // in words: what was wrong and what to do
}

// RoomRecord is a Room as outsiders see it.
type RoomRecord struct {
	Name         string              `json:"name"`
	OpenedAt     time.Time           `json:"opened_at"`
	Participants []ParticipantRecord `json:"participants"`
}

// ParticipantRecord is a Participant as outsiders see it.
type ParticipantRecord struct {
	ID       string         `json:"id"`
	Identity string         `json:"identity"`
	Name     string         `json:"name"`
	Kind     string         `json:"kind"` // phone | browser | whip | whep | agent
	Role     Role           `json:"role"`
	Person   string         `json:"person"` // participants with one person are one human
	CallID   string         `json:"call_id,omitempty"`
	JoinedAt time.Time      `json:"joined_at"`
	Muted    bool           `json:"muted"`
	HeardBy  string         `json:"heard_by"` // all, nobody, humans or a participant's id
	Held     bool           `json:"held,omitempty"`
	Away     bool           `json:"away,omitempty"` // its network is lost; it may come back
	Speaking bool           `json:"speaking"`
	LevelDB  float64        `json:"level_db"`       // dBov of the last second, -127 to 0
	Hears    []string       `json:"hears"`          // participant ids
	Road     string         `json:"road,omitempty"` // direct | mixed | paced, of the sink it listens to
	Tracks   []TrackRecord  `json:"tracks"`
	Quality  *media.Quality `json:"quality,omitempty"`
}

// ParticipantQuality is how a participant's sound has travelled over time.
type ParticipantQuality struct {
	Participant string               `json:"participant"`
	Identity    string               `json:"identity"`
	Kind        string               `json:"kind"`
	CallID      string               `json:"call_id,omitempty"`
	Quality     *media.Quality       `json:"quality,omitempty"`
	Points      []media.QualityPoint `json:"points" nullable:"false"` // oldest first
}

// TrackRecord is a published track as outsiders see it.
type TrackRecord struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"` // audio | video
	Codec string `json:"codec"`
}

// Role says what a participant may do; see [Role.Speaks] and its neighbours.
type Role string

// The roles of rooms.
const (
	RoleDispatcher Role = "dispatcher"
	RoleSupervisor Role = "supervisor"
	RoleAgent      Role = "agent"
	RoleGuest      Role = "guest"
	RoleCaller     Role = "caller"
)
