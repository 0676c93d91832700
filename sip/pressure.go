package sip

import (
	"sync/atomic"

	sipmsg "github.com/emiago/sipgo/sip"
)

// crowded is how many server transactions may be alive before refusals are
// answered without keeping one, as section 8.2.7 allows: whoever asks again is
// refused again, in the same words and with the same tag. A transaction over UDP
// lives for half a minute and holds some 5 kB; 5,000 junk requests a second
// would fill gigabytes.
const crowded = 16384

// pressure counts the server transactions that are alive.
type pressure struct{ alive, bound atomic.Int64 }

// watch counts a transaction until it ends.
func (p *pressure) watch(tx *sipmsg.ServerTx) {
	p.alive.Add(1)
	if !tx.OnTerminate(func(string, error) { p.alive.Add(-1) }) {
		p.alive.Add(-1)
	}
}

// high says whether there are too many.
func (p *pressure) high() bool { return p.alive.Load() > p.bound.Load() }

// relieve ends a transaction whose request was refused, if there are too many.
func (p *pressure) relieve(tx *sipmsg.ServerTx) {
	if p.high() {
		tx.Terminate()
	}
}
