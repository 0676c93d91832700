package dialplan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	variable      = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
	variableNamed = regexp.MustCompile(`^call\.attributes\.[A-Za-z][A-Za-z0-9_-]{0,62}$`)
)

// variables are what every template may hold, beside call.attributes.NAME.
var variables = []string{"call.id", "call.to", "call.from"}

const attributes = "call.attributes."

// Expand fills {{call.id}}, {{call.to}}, {{call.from}} and
// {{call.attributes.NAME}} in a room template from vars, whose keys are the
// names between the braces. Values are made to fit, for a caller may send
// anything: a character that a room name cannot hold becomes "-", an empty value
// or an attribute that the call has not "unknown", and what is longer than 64 is
// cut. An error means that the template itself is wrong.
func Expand(template string, vars map[string]string) (string, error) {
	name, err := expand(template, vars, fit)
	if err != nil {
		return "", err
	}
	if name = name[:min(len(name), 64)]; !isRoom(name) {
		return "", errors.New("expected a room name of 1 to 64 of A-Z a-z 0-9 . _ + -, with {{call.id}}, {{call.to}} or {{call.from}} inside if wanted")
	}
	return name, nil
}

// expand replaces every variable by what made makes of its value.
func expand(template string, vars map[string]string, made func(string) (string, error)) (string, error) {
	if !strings.Contains(template, "{{") {
		return template, nil
	}
	var bad error
	text := variable.ReplaceAllStringFunc(template, func(m string) string {
		key := variable.FindStringSubmatch(m)[1]
		value, ok := vars[key]
		if !ok && variableNamed.MatchString(key) {
			value, ok = valueOf(vars, key), true
		}
		if !ok {
			bad = fmt.Errorf("{{%s}} is unknown: expected %s or %sNAME", key, strings.Join(variables, ", "), attributes)
			return ""
		}
		value, err := made(value)
		if err != nil && bad == nil {
			bad = fmt.Errorf("{{%s}}: %w", key, err)
		}
		return value
	})
	if bad != nil {
		return "", bad
	}
	return text, nil
}

// fit makes a value a part of a room name.
func fit(value string) (string, error) {
	if value == "" {
		return "unknown", nil
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isRoom(string(r)) {
			return r
		}
		return '-'
	}, value), nil
}

// dialable lets a value into a number only when it cannot change what is around it.
func dialable(value string) (string, error) {
	if value == "" {
		return "", errors.New("the call has no value for this")
	}
	if len(value) > 64 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`@:;?%<>"\,&=`, r) }) {
		return "", errors.New("the call's value cannot be part of a number")
	}
	return value, nil
}

// sampleVars stand for any call.
var sampleVars = map[string]string{"call.id": "x", "call.to": "x", "call.from": "x"}

func checkTemplate(template string) error {
	if len(template) > 200 {
		return errors.New("expected at most 200 characters")
	}
	_, err := Expand(template, sampleVars)
	if err == nil && len(variable.ReplaceAllString(template, "")) > 64 {
		return errors.New("expected a room name of at most 64 characters")
	}
	return err
}

// checkNumberTemplate checks a number target: what can be dialled, or a template for it.
func checkNumberTemplate(template string, e emergencies) error {
	if len(template) > 200 {
		return errors.New("expected at most 200 characters")
	}
	if !strings.Contains(template, "{{") {
		_, err := numbering{emergencies: e}.address(template)
		return err
	}
	_, err := expand(template, sampleVars, func(string) (string, error) { return "x", nil })
	if err == nil && (hasControls(template) || strings.Contains(variable.ReplaceAllString(template, ""), "{{")) {
		return errors.New("expected a number like +15551234567, a SIP URI like sip:name@server, or {{call.to}} and the like inside one")
	}
	return err
}

func checkHeaderTemplate(template string) error {
	switch {
	case strings.TrimSpace(template) == "":
		return errors.New("expected a value, such as {{call.id}}")
	case len(template) > 200:
		return errors.New("expected at most 200 characters")
	case hasControls(template):
		return errors.New("expected text without control characters")
	}
	_, err := expand(template, sampleVars, plainText)
	return err
}
