package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
)

// fault ends a leg. The reason is in words, for people and for the agent's close
// frame; it names no secrets and nothing that was said.
type fault struct {
	kind   bridge.Fault
	reason string
}

// Error returns the reason.
func (f *fault) Error() string { return f.reason }

func faulty(kind bridge.Fault, format string, args ...any) *fault {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// faultOf makes a fault of what a protocol returned: garbage, unless it says otherwise.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return &fault{bridge.FaultGarbage, err.Error()}
}

// refusal says why an agent could not be reached. resp may be nil.
func refusal(resp *http.Response, err error) *fault {
	var slow net.Error
	switch {
	case resp != nil && resp.StatusCode >= 300 && resp.StatusCode < 400:
		return faulty(bridge.FaultRefused, "the agent answered %d; redirects are not followed, change its URL instead", resp.StatusCode)
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.StatusCode != 0:
		return faulty(bridge.FaultRefused, "the agent answered %d %s to the WebSocket handshake", resp.StatusCode, http.StatusText(resp.StatusCode))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return faulty(bridge.FaultTimeout, "the agent did not finish the WebSocket handshake within %s", dialTimeout)
	case errors.Is(err, context.Canceled):
		return faulty(bridge.FaultNone, "it was not needed any more")
	}
	return faulty(bridge.FaultRefused, "the agent cannot be reached: %s", innermost(err))
}

// innermost is the last cause of an error, without the URL that those around it
// quote, which may hold a token.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		if op := (*net.OpError)(nil); errors.As(err, &op) && err == error(op) {
			return fmt.Errorf("%s: %w", op.Op, innermost(next))
		}
		err = next
	}
}

// parting says why reading from an agent ended.
func parting(err error) *fault {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return faulty(bridge.FaultTooLarge, "a message of the agent was larger than %d MiB", mostMessage>>20)
	}
	switch code := websocket.CloseStatus(err); code {
	case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd:
		return faulty(bridge.FaultNone, "the agent said goodbye")
	case -1:
		return faulty(bridge.FaultGone, "the connection to the agent broke: %s", innermost(err))
	default:
		return faulty(bridge.FaultGone, "the agent closed the connection with %d", code)
	}
}
