package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/roomline/roomline/media/speech"
	"github.com/zaf/g711"
)

// What the agent can say.
const (
	welcome   = "Welcome to the clinic. Say opening hours, book an appointment, or talk to a person."
	hours     = "We are open from nine to five, Monday to Friday. What else can I do for you?"
	whichDay  = "On which day? Say Monday, Wednesday or Friday."
	onMonday  = "An appointment on Monday. Is that right?"
	onWednes  = "An appointment on Wednesday. Is that right?"
	onFriday  = "An appointment on Friday. Is that right?"
	booked    = "Your appointment is booked. Good bye."
	moment    = "One moment please."
	nobody    = "Nobody is at the desk now. What else can I do for you?"
	stillHere = "Are you still there?"
	farewell  = "Thank you for calling. Good bye."
	pardon    = "I did not understand. Please say it again."
)

// What callers can say.
var (
	wishes  = []string{"opening hours", "book an appointment", "talk to a person", "repeat that", "good bye"}
	days    = []string{"monday", "wednesday", "friday", "good bye"}
	answers = []string{"yes", "no", "good bye"}
)

// turn is one state of the conversation: what is said, and what may be answered.
type turn struct {
	say     string
	listen  *[]string // nil: the call ends after it
	onWords map[string]*turn
	onKeys  map[string]*turn
	action  string // what is done when it has been said: transfer or hang up
}

// The conversation. Keys work wherever words do.
var (
	bye     = &turn{say: farewell, action: "hang up"}
	done    = &turn{say: booked, action: "hang up"}
	desked  = &turn{say: moment, action: "transfer"}
	start   = &turn{say: welcome, listen: &wishes}
	opening = &turn{say: hours, listen: &wishes}
	alone   = &turn{say: nobody, listen: &wishes}
	day     = &turn{say: whichDay, listen: &days}
	monday  = &turn{say: onMonday, listen: &answers}
	wednes  = &turn{say: onWednes, listen: &answers}
	friday  = &turn{say: onFriday, listen: &answers}
)

func init() {
	for _, t := range []*turn{start, opening, alone} {
		t.onWords = map[string]*turn{
			"opening hours": opening, "book an appointment": day, "talk to a person": desked, "repeat that": t, "good bye": bye,
		}
		t.onKeys = map[string]*turn{"1": opening, "2": day, "0": desked, "9": t, "#": bye}
	}
	day.onWords = map[string]*turn{"monday": monday, "wednesday": wednes, "friday": friday, "good bye": bye}
	day.onKeys = map[string]*turn{"1": monday, "3": wednes, "5": friday, "#": bye}
	for _, t := range []*turn{monday, wednes, friday} {
		t.onWords = map[string]*turn{"yes": done, "no": day, "good bye": bye}
		t.onKeys = map[string]*turn{"1": done, "2": day, "#": bye}
	}
}

// voices are all sentences, spoken beforehand, and an ear for each set of answers.
type voices struct {
	said map[string][]byte // µ-law
	ears map[*[]string]*speech.Recognizer
}

// prepare speaks every sentence once: an agent that makes speech while a caller
// waits is slow.
func prepare(ctx context.Context) (*voices, error) {
	v := &voices{said: map[string][]byte{}, ears: map[*[]string]*speech.Recognizer{}}
	for _, phrases := range []*[]string{&wishes, &days, &answers} {
		ear, err := speech.NewRecognizer(*phrases)
		if err != nil {
			v.close()
			return nil, err
		}
		v.ears[phrases] = ear
	}
	texts := []string{welcome, hours, whichDay, onMonday, onWednes, onFriday, booked, moment, nobody, stillHere, farewell, pardon}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, text := range texts {
		wg.Go(func() {
			pcm, err := speech.Synthesize(ctx, text, speech.Voice{Name: "en-us+klatt2"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("prepare %q: %w", text, err)
			}
			v.said[text] = muLaw(pcm)
		})
	}
	if wg.Wait(); failed != nil {
		v.close()
		return nil, failed
	}
	return v, nil
}

func (v *voices) close() {
	for ear := range maps.Values(v.ears) {
		ear.Close()
	}
}

func muLaw(pcm []int16) []byte {
	out := make([]byte, len(pcm))
	for i, s := range pcm {
		out[i] = g711.EncodeUlawFrame(s)
	}
	return out
}

// wrongly is another sentence than the one that is due, for an agent that is
// broken on purpose.
func wrongly(text string) string {
	all := []string{hours, whichDay, stillHere}
	return all[(slices.Index(all, text)+1)%len(all)]
}
