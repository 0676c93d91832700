package dialplan

import (
	"fmt"
	"time"
)

func (c *checker) holidays() {
	seen := map[string]bool{}
	for i, h := range c.plan.Holidays {
		at := fmt.Sprintf("holidays[%d]", i)
		c.name(at+".name", h.Name, seen)
		c.calendars = append(c.calendars, h.Name)
		if len(h.Dates) == 0 {
			c.wrong(at+".dates", "", "expected at least one date like 2026-12-24, or 12-25 for every year")
		}
		listed := map[string]bool{}
		for j, date := range h.Dates {
			field := fmt.Sprintf("%s.dates[%d]", at, j)
			switch {
			case !isDate(date):
				c.wrong(field, date, "expected a date like 2026-12-24, or 12-25 for every year")
			case listed[date]:
				c.wrong(field, date, "this date is listed already")
			}
			listed[date] = true
		}
	}
}

// isDate accepts 2026-12-24 and 12-25; 02-29 is a day of some years.
func isDate(s string) bool {
	if len(s) == len("12-25") {
		s = "2024-" + s
	}
	_, err := time.Parse(time.DateOnly, s)
	return err == nil && len(s) == len(time.DateOnly)
}

// days is a calendar made ready: its dates as they are written in the plan.
type days map[string]bool

func (h Holiday) days() days {
	d := make(days, len(h.Dates))
	for _, date := range h.Dates {
		d[date] = true
	}
	return d
}

// hold reports whether the wall clock of t shows one of the days.
func (d days) hold(t time.Time) bool {
	if len(d) == 0 {
		return false
	}
	date := t.Format(time.DateOnly)
	return d[date] || d[date[len("2006-"):]]
}
