package dialplan

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

var roomForm = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// RoomName gives the room that a called user part names: percent-decoded,
// parameters stripped, case-sensitive, [A-Za-z0-9._+-]{1,64}.
func RoomName(user string) (string, error) {
	bare, _, _ := strings.Cut(user, ";")
	name, err := url.PathUnescape(bare)
	if err != nil {
		return "", errors.New("the called name holds a broken % escape")
	}
	if !isRoom(name) {
		return "", errors.New("the called name is no room name: expected 1 to 64 of A-Z a-z 0-9 . _ + -")
	}
	return name, nil
}

func isRoom(s string) bool { return roomForm.MatchString(s) }
