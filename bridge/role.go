package bridge

// Whose ears a participant's voice reaches, apart from mute.
const (
	HeardByAll    = "all"
	HeardByNobody = "nobody"
	HeardByHumans = "humans" // dispatchers and supervisors: an agent as co-pilot
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool {
	switch r {
	case RoleDispatcher, RoleSupervisor, RoleAgent, RoleGuest, RoleCaller:
		return true
	}
	return false
}

// HangsUp reports whether a role may end other participants' calls.
func (r Role) HangsUp() bool { return r == RoleDispatcher }

// SendsVideo reports whether a role may publish a camera.
func (r Role) SendsVideo() bool {
	return r == RoleDispatcher || r == RoleGuest || r == RoleCaller
}

// SeesVideo reports whether a role is shown other people's cameras.
func (r Role) SeesVideo() bool { return r != RoleCaller }

// heardBy is what a role's voice reaches unless somebody says otherwise.
func (r Role) heardBy() string {
	if r == RoleSupervisor {
		return HeardByNobody
	}
	return HeardByAll
}

// mayBeHeardBy is the one rule of who may choose their listeners: a supervisor
// listens (nobody), whispers (one participant's id) or barges in (all); an agent is
// heard by all, by humans as their co-pilot, or by nobody; everybody else by all.
func (r Role) mayBeHeardBy(whom string) error {
	switch {
	case whom == HeardByAll:
		return nil
	case whom == "":
		return refuse(Invalid, "heard_by", "heard_by is all, nobody, humans or a participant's id")
	case r == RoleSupervisor && whom != HeardByHumans:
		return nil
	case r == RoleAgent && (whom == HeardByHumans || whom == HeardByNobody):
		return nil
	case r == RoleSupervisor:
		return refuse(Forbidden, "heard_by", "a supervisor is heard by nobody, by one participant or by all")
	case r == RoleAgent:
		return refuse(Forbidden, "heard_by", "an agent is heard by all, by humans or by nobody")
	}
	return refuse(Forbidden, "heard_by", "a %s is heard by all; mute them instead", r)
}

// seat is what the rule of hearing needs to know of a participant.
type seat struct {
	id        string
	person    string
	role      Role
	heardBy   string // all, nobody, humans, or one participant's id
	muted     bool
	held      bool // its call is on hold: it neither speaks nor hears
	phoneIsUp bool // a browser whose Person is on the phone as well
}

// hears is the one rule of who hears whom.
func hears(listener, speaker *seat) bool {
	switch {
	case listener.person == speaker.person, speaker.muted, speaker.held, listener.held:
		return false
	case listener.phoneIsUp, speaker.phoneIsUp: // they hear and speak through their phone
		return false
	}
	switch speaker.heardBy {
	case HeardByAll:
		return true
	case HeardByNobody:
		return false
	case HeardByHumans:
		return listener.role == RoleDispatcher || listener.role == RoleSupervisor
	}
	return speaker.heardBy == listener.id
}

// sees is the one rule of who sees whose camera.
func sees(viewer, publisher *seat) bool {
	return viewer.person != publisher.person && viewer.role.SeesVideo()
}
