package sip

import (
	"context"
	"sync"
	"time"
)

// post has f run by the Line's goroutine; false when that has ended.
func (l *Line) post(f func()) bool {
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.inbox <- f:
		return true
	case <-l.done:
		return false
	}
}

// tryPost is post for callers that may not wait.
func (l *Line) tryPost(f func()) {
	select {
	case l.inbox <- f:
	default:
	}
}

// ask runs f and returns its error.
func (l *Line) ask(f func() error) error {
	reply := make(chan error, 1)
	if !l.post(func() { reply <- f() }) {
		return errEnded
	}
	select {
	case err := <-reply:
		return err
	case <-l.done:
		select {
		case err := <-reply:
			return err
		default:
			return errEnded
		}
	}
}

// await has the Line's goroutine begin something and waits for its outcome.
func (l *Line) await(ctx context.Context, reply <-chan error, begin func()) error {
	if !l.post(begin) {
		return errEnded
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return errEnded
	}
}

// after has f run by the Line's goroutine in d, unless the Line is gone then.
func (l *Line) after(d time.Duration, f func()) *time.Timer {
	var t *time.Timer
	var set sync.WaitGroup
	set.Add(1)
	t = time.AfterFunc(d, func() {
		set.Wait()
		l.post(func() {
			delete(l.timers, t)
			f()
		})
	})
	set.Done()
	l.timers[t] = struct{}{}
	return t
}

func (l *Line) cancelTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
		delete(l.timers, t)
	}
}
