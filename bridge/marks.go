package bridge

// Bounds of the marks of a voice that wait.
const (
	mostMarks     = 10000
	mostMarkBytes = 1 << 20 // of their names
)

// mark is a place in what a voice says.
type mark struct {
	name string
	at   int64 // samples since the beginning
}

// marks are the places that a voice was asked to tell of, in order. It is guarded by
// the Speaker's mutex.
type marks struct {
	waiting []mark
	due     int  // how many of them have been passed
	telling bool // somebody is at it
	bytes   int
	last    int64 // where the last one stands that was ever added
}

func (m *marks) add(name string, at int64) error {
	if len(m.waiting) >= mostMarks || m.bytes+len(name) > mostMarkBytes {
		return refuse(LimitReached, "mark", "too many marks wait: at most %d, with names of %d bytes together", mostMarks, mostMarkBytes)
	}
	m.waiting = append(m.waiting, mark{name, at})
	m.bytes += len(name)
	m.last = at
	return nil
}

// ripen says that all before a place has been played, and reports whether marks are due.
func (m *marks) ripen(played int64) bool {
	for m.due < len(m.waiting) && m.waiting[m.due].at <= played {
		m.due++
	}
	return m.due > 0
}

// pass makes all of them due.
func (m *marks) pass() { m.due, m.last = len(m.waiting), -1 }

// pull takes out the first mark that is due, for who is the first to ask.
func (m *marks) pull() (name string, ok bool) {
	if m.telling || m.due == 0 {
		return "", false
	}
	name, m.telling = m.waiting[0].name, true
	m.bytes -= len(name)
	m.due--
	if m.waiting = m.waiting[1:]; len(m.waiting) == 0 {
		m.waiting = nil
	}
	return name, true
}

// told says that the mark pulled last has been told of.
func (m *marks) told() { m.telling = false }
