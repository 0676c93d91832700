package bench

import (
	"bufio"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
)

// Starter is code that starts goroutines, and how many it runs per call.
type Starter struct {
	By      string  `json:"by"` // package and function
	Ours    bool    `json:"ours"`
	PerCall float64 `json:"per_call"`
}

// starters reads who started the gateway's goroutines, and how many each; nil
// when its metrics address does not tell.
func (g *gateway) starters(ctx context.Context) map[string]int {
	body, err := g.get(ctx, "http://"+g.metrics+"/debug/pprof/goroutine?debug=2")
	if err != nil {
		return nil
	}
	defer body.Close()
	return readStarters(io.LimitReader(body, 256<<20))
}

// readStarters counts the stacks of Go's goroutine dump by who started them.
// What starts goroutines on behalf of others, such as sync.WaitGroup, does not
// count as starter; then it is the first function that is not Go's own.
func readStarters(dump io.Reader) map[string]int {
	found := map[string]int{}
	lines := bufio.NewScanner(dump)
	lines.Buffer(nil, 1<<20)
	root := ""
	for lines.Scan() {
		line := lines.Text()
		by, created := strings.CutPrefix(line, "created by ")
		switch {
		case created:
			by, _, _ = strings.Cut(by, " in goroutine")
			if onBehalf(by) && root != "" {
				by = root
			}
			found[by]++
			root = ""
		case strings.HasPrefix(line, "goroutine "):
			root = ""
		case line != "" && line[0] != '\t':
			// The outermost frames come last, so the last one that fits stays.
			if name := function(line); !standard(name) {
				root = name
			}
		}
	}
	return found
}

// function is the name in a line of a stack, without its arguments.
func function(line string) string {
	if i := strings.LastIndexByte(line, '('); i > 0 {
		return line[:i]
	}
	return line
}

func onBehalf(by string) bool {
	return strings.HasPrefix(by, "sync.(*WaitGroup)") || strings.HasPrefix(by, "time.") || strings.HasPrefix(by, "context.")
}

// standard reports whether a function is of Go's library, whose packages have
// no dot in the first part of their path.
func standard(name string) bool {
	first, _, found := strings.Cut(name, "/")
	return !ours(name) && (!found || !strings.Contains(first, "."))
}

func ours(name string) bool {
	return strings.HasPrefix(name, "github.com/roomline/") || strings.HasPrefix(name, "main.")
}

// share splits the growth of goroutines between us and libraries.
func (g *Growth) share(idle, busy map[string]int, calls int) {
	for _, by := range slices.Sorted(maps.Keys(busy)) {
		per := round(float64(busy[by]-idle[by]) / float64(calls))
		if ours(by) {
			g.Ours = round(g.Ours + per)
		} else {
			g.Libraries = round(g.Libraries + per)
		}
		if per >= 0.1 {
			g.Starters = append(g.Starters, Starter{By: by, Ours: ours(by), PerCall: per})
		}
	}
	slices.SortStableFunc(g.Starters, func(a, b Starter) int { return int(1000*b.PerCall) - int(1000*a.PerCall) })
}
