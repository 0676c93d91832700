package trace

import (
	"bytes"
	"regexp"
)

// mask stands for what is not kept.
const mask = "********"

var (
	// Digest answers can be cracked at leisure by whoever has the challenge too.
	credentials = regexp.MustCompile(`(?im)^((?:proxy-)?authorization[ \t]*:)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*`)
	// SDES keys, RFC 4568, open the recording of a call.
	inlineKeys = regexp.MustCompile(`(?i)(inline:)[^|;\s]+`)
	// Keys pressed: PINs and card numbers.
	pressed = regexp.MustCompile(`(?im)^(\s*signal\s*=\s*)[^\r\n]*`)
)

// Masked returns a message without its secrets: credentials, media keys,
// keys pressed, and the bodies of texts. What holds none is returned as it is.
func Masked(raw []byte) []byte {
	if containsFold(raw, "authorization") {
		raw = credentials.ReplaceAll(raw, []byte("$1 "+mask))
	}
	if containsFold(raw, "inline:") {
		raw = inlineKeys.ReplaceAll(raw, []byte("${1}"+mask))
	}
	switch method(raw) {
	case "INFO":
		return maskInfo(raw)
	case "MESSAGE":
		return replaceBody(raw, mask)
	}
	return raw
}

// maskInfo hides the keys in bodies of application/dtmf-relay and application/dtmf.
func maskInfo(raw []byte) []byte {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	switch {
	case containsFold(head, "dtmf-relay"):
		return pressed.ReplaceAll(raw, []byte("${1}"+mask))
	case containsFold(head, "application/dtmf"):
		return replaceBody(raw, mask)
	}
	return raw
}

func replaceBody(raw []byte, body string) []byte {
	head, old, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok || len(old) == 0 {
		return raw
	}
	return append(bytes.Clone(head), "\r\n\r\n"+body...)
}

func method(raw []byte) string {
	word, _, _ := bytes.Cut(raw[:min(len(raw), 16)], []byte(" "))
	return string(word)
}

// containsFold reports whether an ASCII word, given in lower case, is in b in any letter case.
func containsFold(b []byte, word string) bool {
	first, upper := word[0], word[0]-'a'+'A'
	for i := 0; i+len(word) <= len(b); i++ {
		if c := b[i]; (c == first || c == upper) && bytes.EqualFold(b[i:i+len(word)], []byte(word)) {
			return true
		}
	}
	return false
}
