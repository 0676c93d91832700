// Package text reads and writes SIP as text where the message is not, or not
// yet, a message of the transaction layer's. It is pure and knows no dialog.
package text

import "strings"

// Printable makes a stranger's text fit for a reason phrase or a log line:
// printable ASCII without quotes, at most max bytes.
func Printable(s string, max int) string {
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
