// Flame draws a Go profile as an SVG that any browser shows: time goes from left
// to right, calls from top to bottom, and who points at a box reads its name.
//
//	go tool pprof -traces roomline cpu.prof | go run ./scripts/flame "title" > flame.svg
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	title := strings.Join(os.Args[1:], " ")
	root, err := read(os.Stdin)
	if err == nil && root.spent == 0 {
		err = fmt.Errorf("no samples: expected the output of go tool pprof -traces")
	}
	if err == nil {
		out := bufio.NewWriter(os.Stdout)
		draw(out, root, title)
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flame:", err)
		os.Exit(1)
	}
}

// node is a function as called by the functions above it.
type node struct {
	name  string
	spent time.Duration
	calls map[string]*node
}

func (n *node) call(name string) *node {
	if n.calls == nil {
		n.calls = map[string]*node{}
	}
	if n.calls[name] == nil {
		n.calls[name] = &node{name: name}
	}
	return n.calls[name]
}

// read takes the stacks apart: each has its time and innermost function first.
func read(in io.Reader) (*node, error) {
	root := &node{name: "all"}
	var stack []string
	var spent time.Duration
	begun := false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "-----------+"):
			root.add(stack, spent)
			stack, spent, begun = nil, 0, true
		case !begun || line == "":
		case len(stack) == 0:
			value, name, _ := strings.Cut(line, " ")
			var err error
			if spent, err = time.ParseDuration(value); err != nil {
				return nil, fmt.Errorf("%q begins with no time", line)
			}
			stack = append(stack, function(name))
		default:
			stack = append(stack, function(line))
		}
	}
	root.add(stack, spent)
	return root, lines.Err()
}

func function(line string) string {
	name := strings.TrimSuffix(strings.TrimSpace(line), " (inline)")
	return strings.TrimPrefix(strings.TrimPrefix(name, "github.com/"), "roomline/")
}

// plumbing are the functions below every goroutine, which say nothing.
var plumbing = []string{"runtime.goexit", "sync.(*WaitGroup).Go.func1", "runtime.mcall", "runtime.systemstack"}

func (n *node) add(stack []string, spent time.Duration) {
	n.spent += spent
	for _, name := range slices.Backward(stack) {
		if slices.Contains(plumbing, name) {
			continue
		}
		n = n.call(name)
		n.spent += spent
	}
}

const (
	width, row = 1200, 17  // pixels
	least      = 1.0 / 400 // of the whole; what is less is left out
	letter     = 6.3       // pixels that one takes
)

func draw(w io.Writer, root *node, title string) {
	height := (depth(root, root.spent) + 3) * row
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" font-size="11">`+"\n", width, height)
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" fill="#fff"/><text x="4" y="13">%s</text>`+"\n", html.EscapeString(title))
	for i, k := range kinds {
		fmt.Fprintf(w, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			4+i*190, row+3, k.colour, 20+i*190, row+13, k.name)
	}
	box(w, root, 0, 2*row+4, root.spent)
	fmt.Fprintln(w, "</svg>")
}

func depth(n *node, whole time.Duration) (most int) {
	for _, c := range n.calls {
		if float64(c.spent) >= least*float64(whole) {
			most = max(most, 1+depth(c, whole))
		}
	}
	return most
}

// box draws a function and what it calls, the dearest first.
func box(w io.Writer, n *node, x float64, y int, whole time.Duration) {
	wide := width * float64(n.spent) / float64(whole)
	name := html.EscapeString(fit(n.name, wide))
	fmt.Fprintf(w, `<g><title>%s: %.1f %%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff" stroke-width="0.5"/>`,
		html.EscapeString(n.name), 100*float64(n.spent)/float64(whole), x, y, wide, row-1, colour(n.name))
	if name != "" {
		fmt.Fprintf(w, `<text x="%.1f" y="%d">%s</text>`, x+2, y+12, name)
	}
	fmt.Fprintln(w, "</g>")
	var calls []*node
	for _, c := range n.calls {
		if float64(c.spent) >= least*float64(whole) {
			calls = append(calls, c)
		}
	}
	slices.SortFunc(calls, func(a, b *node) int {
		if a.spent != b.spent {
			return int(b.spent - a.spent)
		}
		return strings.Compare(a.name, b.name)
	})
	for _, c := range calls {
		box(w, c, x, y+row, whole)
		x += width * float64(c.spent) / float64(whole)
	}
}

// fit shortens a name to a width: first its path goes, then its end.
func fit(name string, wide float64) string {
	room := int((wide - 4) / letter)
	if len(name) > room {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	switch {
	case len(name) <= room:
		return name
	case room < 4:
		return ""
	}
	return name[:room-2] + ".."
}

// kinds tell whose code it is, by how names begin; the last is for all others.
var kinds = []struct {
	name, colour string
	begins       []string
}{
	{"ours", "#9ecae1", []string{"roomline/", "main."}},
	{"codecs", "#fdae6b", []string{"roomline/transcode", "thesyncim/", "hraban/", "zaf/"}},
	{"system calls", "#fb6a4a", []string{"syscall.", "internal/runtime/syscall", "golang.org/x/sys", "runtime.futex", "runtime.usleep"}},
	{"pion", "#c7e9c0", []string{"pion/"}},
	{"Go's runtime and library", "#d9d9d9", nil},
}

func colour(name string) string {
	best, length := kinds[len(kinds)-1].colour, 0
	for _, k := range kinds {
		for _, b := range k.begins {
			if strings.HasPrefix(name, b) && len(b) > length {
				best, length = k.colour, len(b)
			}
		}
	}
	return best
}
