package dialplan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones on machines that have none
)

// hours are opening hours: "Mo-Fr 09:00-17:00 America/New_York; Sa 10:00-12:00".
// A range without a zone takes the zone of the range before it.
type hours []openRange

type openRange struct {
	days  [7]bool // by time.Weekday
	from  int     // minutes after midnight, 0 to 1439
	until int     // minutes after midnight of the same day, up to 2879 over midnight
	zone  *time.Location
}

var dayNames = []string{"Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"}

// open reports whether t falls into one of the ranges, and on none of the days
// closed; wall clocks decide, so that nine o'clock stays nine o'clock in summer.
// No ranges means always.
func (h hours) open(t time.Time, closed days) bool {
	for _, r := range h {
		local := t.In(r.zone)
		if closed.hold(local) {
			continue
		}
		minute, today := local.Hour()*60+local.Minute(), local.Weekday()
		yesterday := (today + 6) % 7
		if r.days[today] && minute >= r.from && minute < r.until ||
			r.days[yesterday] && minute+1440 < r.until {
			return true
		}
	}
	return len(h) == 0
}

// parseHours reads opening hours; empty text gives none, which is always open.
func parseHours(s string) (hours, error) {
	if s == "" {
		return nil, nil
	}
	var all hours
	var zone *time.Location
	for part := range strings.SplitSeq(s, ";") {
		words := strings.Fields(part)
		if len(words) == 3 {
			var err error
			if zone, err = location(words[2]); err != nil {
				return nil, err
			}
			words = words[:2]
		}
		if len(words) != 2 {
			return nil, errors.New(`expected days, times and a zone, like "Mo-Fr 09:00-17:00 America/New_York", several of them with ;`)
		}
		if zone == nil {
			return nil, errors.New("expected a time zone after the times, like America/New_York or UTC")
		}
		days, err := parseDays(words[0])
		if err != nil {
			return nil, err
		}
		for span := range strings.SplitSeq(words[1], ",") {
			from, until, err := parseSpan(span)
			if err != nil {
				return nil, err
			}
			all = append(all, openRange{days: days, from: from, until: until, zone: zone})
		}
	}
	return all, nil
}

// parseDays reads Mo-Fr, Sa, Mo,We,Fr or Fr-Mo.
func parseDays(s string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if from < 0 || to < 0 {
			return days, errors.New("expected days out of Mo Tu We Th Fr Sa Su, like Mo-Fr or Sa,Su")
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

// parseSpan reads 09:00-17:00; a span that ends before it starts goes over midnight.
func parseSpan(s string) (from, until int, err error) {
	first, last, _ := strings.Cut(s, "-")
	from, okFrom := parseClock(first)
	until, okUntil := parseClock(last)
	if !okFrom || !okUntil || from == 1440 || from == until {
		return 0, 0, errors.New("expected times like 09:00-17:00, of 24 hours")
	}
	if until < from {
		until += 1440
	}
	return from, until, nil
}

func parseClock(s string) (minutes int, ok bool) {
	if s == "24:00" {
		return 1440, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == 5
}

// zones remembers locations: loading one reads a file. It holds at most the zones of the world.
var zones sync.Map

func location(name string) (*time.Location, error) {
	if l, ok := zones.Load(name); ok {
		return l.(*time.Location), nil
	}
	l, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, fmt.Errorf("expected a time zone of the IANA list, like America/New_York, Europe/Berlin or UTC")
	}
	zones.Store(name, l)
	return l, nil
}
