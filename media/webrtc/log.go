package webrtc

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives pion's parts a logger that speaks up only for warnings and
// errors, at debug level: they are about one peer's network, and the room says
// in its own words what became of that peer.
type loggers struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (l loggers) NewLogger(scope string) logging.LeveledLogger { return quietLogger{l.log, scope} }

type quietLogger struct {
	log   *slog.Logger
	scope string
}

func (q quietLogger) Trace(string)          {}
func (q quietLogger) Tracef(string, ...any) {}
func (q quietLogger) Debug(string)          {}
func (q quietLogger) Debugf(string, ...any) {}
func (q quietLogger) Info(string)           {}
func (q quietLogger) Infof(string, ...any)  {}
func (q quietLogger) Warn(msg string)       { q.log.Debug("pion: "+msg, "scope", q.scope) }
func (q quietLogger) Warnf(f string, a ...any) {
	q.log.Debug("pion: "+fmt.Sprintf(f, a...), "scope", q.scope)
}
func (q quietLogger) Error(msg string) { q.log.Debug("pion: "+msg, "scope", q.scope) }
func (q quietLogger) Errorf(f string, a ...any) {
	q.log.Debug("pion: "+fmt.Sprintf(f, a...), "scope", q.scope)
}
