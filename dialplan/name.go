package dialplan

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	roomForm = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)
	variable = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
)

// variables are what a room template may hold.
var variables = []string{"call.id", "call.to", "call.from"}

// RoomName gives the room that a called user part names: percent-decoded,
// parameters stripped, case-sensitive, [A-Za-z0-9._+-]{1,64}.
func RoomName(user string) (string, error) {
	bare, _, _ := strings.Cut(user, ";")
	name, err := url.PathUnescape(bare)
	if err != nil {
		return "", errors.New("the called name holds a broken % escape")
	}
	if !roomForm.MatchString(name) {
		return "", errors.New("the called name is no room name: expected 1 to 64 of A-Z a-z 0-9 . _ + -")
	}
	return name, nil
}

// Expand fills {{call.id}}, {{call.to}} and {{call.from}} in a room template
// from vars. Values are made to fit, for a caller may send anything: a character
// that a room name cannot hold becomes "-", an empty value "unknown", and what
// is longer than 64 is cut. An error means that the template itself is wrong.
func Expand(template string, vars map[string]string) (string, error) {
	var bad error
	name := variable.ReplaceAllStringFunc(template, func(m string) string {
		key := variable.FindStringSubmatch(m)[1]
		value, ok := vars[key]
		if !ok {
			bad = fmt.Errorf("{{%s}} is unknown: expected %s", key, strings.Join(variables, ", "))
		}
		return fit(value)
	})
	if bad != nil {
		return "", bad
	}
	if name = name[:min(len(name), 64)]; !roomForm.MatchString(name) {
		return "", errors.New("expected a room name of 1 to 64 of A-Z a-z 0-9 . _ + -, with {{call.id}}, {{call.to}} or {{call.from}} inside if wanted")
	}
	return name, nil
}

func fit(value string) string {
	if value == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && roomForm.MatchString(string(r)) {
			return r
		}
		return '-'
	}, value)
}

func checkTemplate(template string) error {
	if len(template) > 200 {
		return errors.New("expected at most 200 characters")
	}
	_, err := Expand(template, map[string]string{"call.id": "x", "call.to": "x", "call.from": "x"})
	if err == nil && len(variable.ReplaceAllString(template, "")) > 64 {
		return errors.New("expected a room name of at most 64 characters")
	}
	return err
}
