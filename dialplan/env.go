package dialplan

import (
	"fmt"
	"strings"
)

// expandEnv replaces ${NAME} in s by env(NAME); $${ stands for a plain ${.
// Errors name the variable, never its value. A variable that is set to nothing
// counts as missing: an empty password is never what was meant.
func expandEnv(s string, env func(string) string) (string, error) {
	var out strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		out.WriteString(s[:i])
		name, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed || !isVariable(name) {
			return "", fmt.Errorf("expected ${NAME} with NAME of letters, digits and _ (write $${ for a plain ${)")
		}
		value := ""
		if env != nil {
			value = env(name)
		}
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		out.WriteString(value)
		s = rest
	}
}

func isVariable(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
