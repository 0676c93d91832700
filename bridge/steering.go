package bridge

// SeatChange is what others may change about a participant; nil leaves as it is.
type SeatChange struct {
	Muted   *bool
	HeardBy *string // HeardByAll, HeardByNobody, HeardByHumans or a participant's id, as far as the role allows
}

// ChangeSeat mutes somebody in a room, or says who hears them: a supervisor
// listens, whispers to one or barges in. All of it is done, or nothing.
func (x *Exchange) ChangeSeat(room, participant string, ch SeatChange) (ParticipantRecord, error) {
	p := x.participantIn(room, participant)
	if p == nil {
		return ParticipantRecord{}, refuse(NotFound, "id", "nobody in room %s has the id %s", room, participant)
	}
	if ch.HeardBy != nil {
		if err := x.checkHearer(p, room, *ch.HeardBy); err != nil {
			return ParticipantRecord{}, err
		}
	}
	if ch.Muted != nil {
		if err := p.mute(*ch.Muted); err != nil {
			return ParticipantRecord{}, err
		}
	}
	if ch.HeardBy != nil {
		if err := p.SetHeardBy(*ch.HeardBy); err != nil {
			return ParticipantRecord{}, err
		}
	}
	return p.Record(), nil
}

// checkHearer refuses a listener whom the role does not allow, or who is not there.
func (x *Exchange) checkHearer(p *Participant, room, whom string) error {
	if err := p.spec.Role.mayBeHeardBy(whom); err != nil {
		return err
	}
	switch whom {
	case HeardByAll, HeardByNobody, HeardByHumans:
		return nil
	case p.id:
		return refuse(Invalid, "heard_by", "nobody hears themselves")
	}
	if x.participantIn(room, whom) == nil {
		return refuse(Invalid, "heard_by", "heard_by is all, nobody, humans or the id of somebody in room %s", room)
	}
	return nil
}

// mute keeps a phone's call in step.
func (p *Participant) mute(on bool) error {
	if c, live := p.x.Call(p.spec.CallID); live && p.spec.Kind == KindPhone {
		return c.Mute(on)
	}
	p.Mute(on)
	return nil
}

// participantIn finds somebody in an open room by id, nil for nobody.
func (x *Exchange) participantIn(room, id string) *Participant {
	x.init()
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.rooms[room]; r != nil {
		for _, p := range r.members {
			if p.id == id {
				return p
			}
		}
	}
	return nil
}
