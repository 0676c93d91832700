package bridge

// lazy is a T that is made when it is first needed: most streams stay on the
// direct road, without change of rate, all their life, and a gateway has
// thousands. It is as safe for concurrent use as the T.
type lazy[T any] struct{ made *T }

func (l *lazy[T]) get() *T {
	if l.made == nil {
		l.made = new(T)
	}
	return l.made
}
