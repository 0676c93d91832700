package sip

import "strings"

// printable makes a stranger's text fit for a reason phrase or a log line:
// printable ASCII without quotes, at most max bytes.
func printable(s string, max int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= max {
			break
		}
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\'')
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
