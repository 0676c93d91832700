package trace

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Step is one message as a ladder shows it.
type Step struct {
	Message
	Label string  // INVITE with SDP, 180 Ringing …
	Again bool    // the same message as an earlier one: a retransmission
	After float64 // seconds since the first message
	Peer  int     // index of its remote address in the ladder's peers
}

// Steps turns messages, in their order, into a ladder's steps, and names the
// peers in the order in which they appear.
func Steps(messages []Message) (steps []Step, peers []netip.AddrPort) {
	type seen struct {
		sent   bool
		remote netip.AddrPort
		raw    string
	}
	before := map[seen]bool{}
	for _, m := range messages {
		peer := slices.Index(peers, m.Remote)
		if peer < 0 {
			peer, peers = len(peers), append(peers, m.Remote)
		}
		key := seen{m.Sent, m.Remote, string(m.Raw)}
		steps = append(steps, Step{
			Message: m, Label: label(m), Again: before[key], Peer: peer,
			After: m.Time.Sub(messages[0].Time).Seconds(),
		})
		before[key] = true
	}
	return steps, peers
}

// label is what stands on the arrow.
func label(m Message) string {
	start := m.Start()
	words, ok := strings.CutPrefix(start, "SIP/2.0 ")
	if !ok {
		words, _, _ = strings.Cut(start, " ")
	}
	if _, body, ok := bytes.Cut(m.Raw, []byte("\r\n\r\n")); ok && bytes.HasPrefix(body, []byte("v=0")) {
		words += " with SDP"
	}
	return words
}

// Of a ladder in text, in letters.
const (
	timeWidth = 10
	rungWidth = 36
)

// Ladder draws messages as text: the first peer on the left, this gateway beside
// it, further peers on the right.
func Ladder(w io.Writer, messages []Message) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(w, "no SIP messages are kept of this call: it is older than they are kept for, or none were exchanged")
		return err
	}
	steps, peers := Steps(messages)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, times in seconds\n\n%s\n", messages[0].Time.Format("2006-01-02 15:04:05.000 MST"), heads(peers))
	for _, s := range steps {
		fmt.Fprintf(&b, "%*.3f %s\n", timeWidth-1, s.After, s.rung(len(peers)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// column is where a peer's line stands; the gateway's is the second.
func column(peer int) int {
	if peer == 0 {
		return 0
	}
	return peer + 1
}

const gatewayColumn = 1

func heads(peers []netip.AddrPort) string {
	names := make([]string, len(peers)+1)
	names[gatewayColumn] = "roomline"
	for i, p := range peers {
		names[column(i)] = p.String()
	}
	line := strings.Repeat(" ", timeWidth)
	for _, n := range names {
		line += fmt.Sprintf("%-*s", rungWidth, n)
	}
	return strings.TrimRight(line, " ")
}

// rung is the arrow of one message between the lines of all peers.
func (s Step) rung(peers int) string {
	cells := []rune(strings.Repeat(" ", peers*rungWidth+1))
	for i := range peers + 1 {
		cells[i*rungWidth] = '│'
	}
	from, to := column(s.Peer), gatewayColumn
	if s.Sent {
		from, to = to, from
	}
	left, right := min(from, to)*rungWidth+1, max(from, to)*rungWidth-1
	for i := left; i <= right; i++ {
		cells[i] = '─'
	}
	if head := right; from > to {
		cells[left] = '◀'
	} else {
		cells[head] = '▶'
	}
	s.write(cells[left+2 : right-1])
	return strings.TrimRight(string(cells), " ")
}

// write puts the label into the middle of the arrow.
func (s Step) write(room []rune) {
	text := s.Label
	if s.Again {
		text += " (again)"
	}
	if n := len(room) - 2; utf8.RuneCountInString(text) > n {
		text = string([]rune(text)[:n-1]) + "…"
	}
	text = " " + text + " "
	copy(room[(len(room)-utf8.RuneCountInString(text))/2:], []rune(text))
}
