package bridge

import (
	"sync"
	"time"

	"github.com/roomline/roomline/media"
)

const (
	// qualityEvery is the time that a point of a leg's quality stands for, where the
	// leg is measured often enough; qualitySlack is what it may be short of it.
	qualityEvery = 5 * time.Second
	qualitySlack = 250 * time.Millisecond
	// qualityPoints is how many are kept: 20 minutes of them.
	qualityPoints = 240
	// qualityEventEvery is the least time between two events about one leg's class.
	qualityEventEvery = 10 * time.Second
)

// QualityClass is how satisfied people are with a leg, by the table of ITU-T G.109
// with its two best and its two worst rows taken together.
type QualityClass string

// The classes, with the lowest R of each.
const (
	QualityGood QualityClass = "good" // 80: satisfied
	QualityFair QualityClass = "fair" // 70: some are dissatisfied
	QualityPoor QualityClass = "poor" // 60: many are
	QualityBad  QualityClass = "bad"
)

var qualityClasses = []struct {
	class QualityClass
	least float64
}{{QualityGood, 80}, {QualityFair, 70}, {QualityPoor, 60}, {QualityBad, 0}}

// ClassOf returns the class of an R.
func ClassOf(r float64) QualityClass {
	for _, c := range qualityClasses {
		if r >= c.least {
			return c.class
		}
	}
	return QualityBad
}

// classAfter returns the class after was for an R. It falls at once and rises when R
// is 3 above where it fell, so that a leg on the edge of two does not go to and fro.
func classAfter(was QualityClass, r float64) QualityClass {
	const margin = 3
	if now := ClassOf(r); leastOf(now) < leastOf(was) {
		return now
	}
	if now := ClassOf(r - margin); leastOf(now) > leastOf(was) {
		return now
	}
	return was
}

func leastOf(class QualityClass) float64 {
	for _, c := range qualityClasses {
		if c.class == class {
			return c.least
		}
	}
	return 0
}

// meter keeps how well one leg's sound travels over time.
type meter struct {
	mu     sync.Mutex
	before media.Quality // at the last point
	at     time.Time     // of the last point; zero: nothing was measured yet
	points []media.QualityPoint
	oldest int // once points are full
	trend  media.QualityTrend
	rated  int // points with a MOS
	sum    float64
	lowest float64
	buffer float64 // sum, in ms
	most   float64 // of the buffer, in ms
	class  QualityClass
	told   time.Time
}

// qualityTurn is a change of a leg's class.
type qualityTurn struct {
	from, to QualityClass
	point    media.QualityPoint
}

// take adds to q what the past says, and a point to the past when it is time. It
// returns the turn that others must be told of, nil if there is none.
func (m *meter) take(q *media.Quality, now time.Time) *qualityTurn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var turn *qualityTurn
	switch {
	case m.at.IsZero():
		m.before, m.at, m.class = *q, now, QualityGood
	case now.Sub(m.at) >= qualityEvery-qualitySlack:
		p := q.Since(&m.before, now.UTC())
		m.before, m.at = *q, now
		m.addLocked(p)
		turn = m.turnLocked(&p, now)
	}
	if n := len(m.points); n > 0 {
		latest := m.points[(m.oldest+n-1)%n]
		q.Live = &latest
	}
	if m.rated > 0 {
		q.LowestMOS, q.MeanMOS = m.lowest, m.sum/float64(m.rated)
		q.MeanBufferMS, q.MostBufferMS = m.buffer/float64(m.rated), m.most
	}
	return turn
}

func (m *meter) addLocked(p media.QualityPoint) {
	if len(m.points) < qualityPoints {
		m.points = append(m.points, p)
	} else {
		m.points[m.oldest] = p
		m.oldest = (m.oldest + 1) % qualityPoints
	}
	m.trend.Add(&p, qualityEvery)
	if p.MOS == 0 {
		return
	}
	if mos := float64(p.MOS); m.rated == 0 || mos < m.lowest {
		m.lowest = mos
	}
	m.sum += float64(p.MOS)
	m.buffer += float64(p.BufferMS)
	m.most = max(m.most, float64(p.BufferMS))
	m.rated++
}

func (m *meter) turnLocked(p *media.QualityPoint, now time.Time) *qualityTurn {
	r := p.Worst()
	if r == 0 {
		return nil
	}
	class := classAfter(m.class, r)
	if class == m.class || !m.told.IsZero() && now.Sub(m.told) < qualityEventEvery {
		return nil
	}
	turn := &qualityTurn{m.class, class, *p}
	m.class, m.told = class, now
	return turn
}

// whole returns the trend of all that was measured, nil if there is none.
func (m *meter) whole() *media.QualityTrend {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.trend.R) == 0 {
		return nil
	}
	trend := m.trend // nothing is added to it any more
	return &trend
}

// history returns the points that are kept, oldest first.
func (m *meter) history() []media.QualityPoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]media.QualityPoint, 0, len(m.points))
	return append(append(out, m.points[m.oldest:]...), m.points[:m.oldest]...)
}
