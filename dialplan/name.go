package dialplan

// RoomName gives the room that a called user part names: percent-decoded,
// parameters stripped, [A-Za-z0-9._+-]{1,64}.
func RoomName(user string) (string, error) { return "", errNotBuilt }

// Expand fills {{call.id}}, {{call.to}} and {{call.from}} in a room template
// from vars and makes the result a valid room name.
func Expand(template string, vars map[string]string) (string, error) { return "", errNotBuilt }
