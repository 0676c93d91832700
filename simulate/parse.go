package simulate

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/roomline/roomline/dialplan"
)

// Parse reads a suite file. file names it in messages, and WAV files are looked
// for from its folder on. ${VAR} in values is replaced by env(VAR). The error is a
// [dialplan.Problems] with line, field and what was expected of everything that is wrong.
func Parse(yamlBytes []byte, file string, env func(string) string) (*Suite, error) {
	root, err := dialplan.Tree(yamlBytes)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, dialplan.Problems{{Line: 1, Message: "the file holds no scenarios; roomline simulate --init writes a sample"}}
	}
	s := &Suite{File: file, Name: strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))}
	r := &suiteReader{reader: reader{env: env}, suite: s, defaults: defaultSettings()}
	r.file(root)
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b dialplan.Problem) int { return a.Line - b.Line })
		return nil, r.problems
	}
	return s, nil
}

type suiteReader struct {
	reader
	suite    *Suite
	defaults Settings
}

func (r *suiteReader) file(n *yaml.Node) {
	var scenarios *yaml.Node
	r.object(n, "", fields{
		"suite":     r.text(&r.suite.Name),
		"defaults":  func(n *yaml.Node, path string) { r.object(n, path, r.settings(&r.defaults)) },
		"phrases":   r.texts(&r.suite.Vocabulary),
		"assert":    r.limits(&r.suite.Limits),
		"scenarios": func(n *yaml.Node, _ string) { scenarios = n }, // read last: they start from the defaults
	})
	if scenarios != nil {
		r.each(r.scenario)(scenarios, "scenarios")
	}
	if len(r.suite.Scenarios) == 0 && len(r.problems) == 0 {
		r.wrong(n, "scenarios", "expected at least one scenario")
	}
}

func (r *suiteReader) settings(s *Settings) fields {
	return fields{
		"to": r.text(&s.To), "from": r.text(&s.From), "voice": r.text(&s.Voice),
		"within": r.length(&s.Within), "ring": r.length(&s.Ring), "timeout": r.length(&s.Timeout), "pause": r.length(&s.Pause),
		"headers": r.headers(&s.Headers),
	}
}

func (r *suiteReader) headers(into *map[string]string) field {
	return func(n *yaml.Node, path string) {
		*into = nil
		r.table(into)(n, path)
		for name := range *into {
			if !strings.HasPrefix(strings.ToLower(name), "x-") {
				r.wrong(n, path+"."+name, "expected the name of a header field that begins with X-")
			}
		}
	}
}

func (r *suiteReader) scenario(n *yaml.Node, path string) {
	c := Scenario{Settings: r.defaults, Line: n.Line}
	known := r.settings(&c.Settings)
	known["name"] = r.text(&c.Name)
	known["assert"] = r.limits(&c.Limits)
	known["steps"] = r.each(func(n *yaml.Node, path string) { c.Steps = append(c.Steps, r.step(n, path)) })
	present := r.object(n, path, known)
	if present == nil {
		return
	}
	if !slices.Contains(present, "name") {
		c.Name = fmt.Sprintf("scenario %d", len(r.suite.Scenarios)+1)
	}
	if len(c.Steps) == 0 && !slices.Contains(present, "steps") {
		r.wrong(n, path, "expected steps")
	}
	if slices.ContainsFunc(r.suite.Scenarios, func(o Scenario) bool { return o.Name == c.Name }) {
		r.wrong(n, path+".name", "two scenarios are called %q", c.Name)
	}
	r.order(n, path, c.Steps)
	r.suite.Scenarios = append(r.suite.Scenarios, c)
}

// order refuses steps that can never happen where they stand.
func (r *suiteReader) order(n *yaml.Node, path string, steps []Step) {
	for i, s := range steps {
		refused := s.Action == Await && s.Expect.Event == Declined
		over := s.Action == Hangup || s.Action == Await && s.Expect.Event == HungUp || refused
		at := fmt.Sprintf("%s.steps[%d]", path, i)
		node := &yaml.Node{Line: s.Line}
		if refused && i > 0 {
			r.wrong(node, at, "a call can be refused in the first step only")
		}
		if over && i+1 < len(steps) && steps[i+1].Action != Assert {
			r.wrong(&yaml.Node{Line: steps[i+1].Line}, fmt.Sprintf("%s.steps[%d]", path, i+1), "the call is over before this step")
		}
	}
}

func (r *suiteReader) step(n *yaml.Node, path string) Step {
	s := Step{Line: n.Line, written: brief(n)}
	if n.Kind == yaml.ScalarNode && n.Value == string(Hangup) {
		s.Action = Hangup
		return s
	}
	present := r.object(n, path, r.actions(&s))
	if len(present) > 1 {
		r.wrong(n, path, "expected one thing to do per step, found %s", strings.Join(present, " and "))
	}
	if len(present) == 0 && n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.wrong(n, path, "expected a step")
	}
	return s
}

func (r *suiteReader) actions(s *Step) fields {
	as := func(a Action, read field) field {
		return func(n *yaml.Node, path string) {
			s.Action = a
			read(n, path)
		}
	}
	var yes bool
	return fields{
		string(Say):     as(Say, r.short(r.text(&s.Sound.Text), r.say(s), "text")),
		string(WAV):     as(WAV, r.short(r.wav(&s.Sound.File), r.play(s), "file")),
		string(Tone):    as(Tone, r.tone(s)),
		string(Digits):  as(Digits, r.keys(&s.Keys, true)),
		string(Wait):    as(Wait, r.wait(s)),
		string(Await):   as(Await, r.short(r.phrase(&s.Expect), r.expect(&s.Expect), "")),
		string(BargeIn): as(BargeIn, r.bargeIn(s)),
		string(Hold):    as(Hold, r.length(&s.Least)),
		string(Hangup):  as(Hangup, r.truth(&yes)),
		string(Assert):  as(Assert, r.limits(&s.Limits)),
	}
}

// short lets a scalar stand for an object; need is the key that the object has to have.
func (r *suiteReader) short(scalar field, known fields, need string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode {
			scalar(n, path)
			return
		}
		present := r.object(n, path, known)
		if need != "" && n.Kind == yaml.MappingNode && !slices.Contains(present, need) {
			r.wrong(n, path, "expected the key %s", need)
		}
	}
}

func (r *suiteReader) say(s *Step) fields {
	return fields{"text": r.text(&s.Sound.Text), "voice": r.text(&s.Sound.Voice), "aside": r.truth(&s.Aside)}
}

func (r *suiteReader) play(s *Step) fields {
	return fields{"file": r.wav(&s.Sound.File), "aside": r.truth(&s.Aside)}
}

func (r *suiteReader) wav(into *string) field {
	return func(n *yaml.Node, path string) {
		r.text(into)(n, path)
		if *into != "" && !filepath.IsAbs(*into) {
			*into = filepath.Join(filepath.Dir(r.suite.File), *into)
		}
	}
}

func (r *suiteReader) tone(s *Step) field {
	return func(n *yaml.Node, path string) {
		s.Sound.Lasts = time.Second
		r.short(r.hz(&s.Sound.Hz), fields{"hz": r.hz(&s.Sound.Hz), "for": r.length(&s.Sound.Lasts), "aside": r.truth(&s.Aside)}, "hz")(n, path)
	}
}

func (r *suiteReader) hz(into *float64) field { return r.number(into, 50, 3800) }

// keys reads digits; commas are pauses, where they are pressed.
func (r *suiteReader) keys(into *string, pauses bool) field {
	allowed := "0123456789*#ABCD"
	return func(n *yaml.Node, path string) {
		r.text(into)(n, path)
		for _, k := range *into {
			if !strings.ContainsRune(allowed, k) && (k != ',' || !pauses) {
				r.wrong(n, path, "expected keys 0-9 * # A-D, found %q", k)
				return
			}
		}
	}
}

func (r *suiteReader) wait(s *Step) field {
	return r.short(r.length(&s.Least), fields{"from": r.length(&s.Least), "to": func(n *yaml.Node, path string) {
		r.length(&s.Most)(n, path)
		if s.Most < s.Least {
			r.wrong(n, path, "expected a time that is not before from")
		}
	}}, "to")
}

func (r *suiteReader) bargeIn(s *Step) field {
	return func(n *yaml.Node, path string) {
		s.Least = time.Second
		present := r.object(n, path, fields{
			"after": r.length(&s.Least), "yield": r.length(&s.Yield), "within": r.length(&s.Expect.Within),
			"say": r.text(&s.Sound.Text), "voice": r.text(&s.Sound.Voice), "wav": r.wav(&s.Sound.File),
			"digits": r.keys(&s.Keys, true), "aside": r.truth(&s.Aside),
		})
		sounds := 0
		for _, key := range present {
			if key == "say" || key == "wav" || key == "digits" {
				sounds++
			}
		}
		if sounds != 1 && n.Kind == yaml.MappingNode {
			r.wrong(n, path, "expected one of say, wav and digits")
		}
	}
}

// phrase reads what is expected to be heard.
func (r *suiteReader) phrase(e *Expect) field {
	return func(n *yaml.Node, path string) {
		e.Event = Speech
		r.texts(&e.Phrases)(n, path)
		r.suite.speechNamed = append(r.suite.speechNamed, e.Phrases...)
	}
}

func (r *suiteReader) expect(e *Expect) fields {
	known := r.events(e)
	names := slices.Sorted(maps.Keys(known))
	for name, read := range known {
		known[name] = func(n *yaml.Node, path string) {
			if e.Event != "" {
				r.wrong(n, path, "expected one event per step: %s", strings.Join(names, ", "))
			}
			read(n, path)
		}
	}
	known["within"] = r.length(&e.Within)
	known["for"] = func(n *yaml.Node, path string) {
		r.length(&e.Lasts)(n, path)
		if e.Event != ToneOf {
			r.wrong(n, path, "only a tone lasts for a while, named before it: {tone: 440, for: 500ms}")
		}
	}
	return known
}

// events are the keys of which an expectation has one.
func (r *suiteReader) events(e *Expect) fields {
	as := func(event Event, read field) field {
		return func(n *yaml.Node, path string) {
			e.Event = event
			read(n, path)
		}
	}
	var word string
	return fields{
		string(Speech): r.phrase(e), "any": r.phrase(e),
		string(Noise): as(Noise, func(n *yaml.Node, path string) {
			e.Lasts = 50 * time.Millisecond
			if n.Value != "true" {
				r.length(&e.Lasts)(n, path)
			}
		}),
		string(ToneOf): as(ToneOf, func(n *yaml.Node, path string) {
			e.Lasts = 200 * time.Millisecond
			r.hz(&e.Hz)(n, path)
		}),
		string(Beep):    as(Beep, r.only(&word, "true")),
		string(Silence): as(Silence, r.length(&e.Lasts)),
		string(HungUp):  as(HungUp, r.only(&word, "them", "true")),
		string(Pressed): as(Pressed, r.keys(&e.Keys, false)),
		string(Declined): as(Declined, func(n *yaml.Node, path string) {
			if n.Value != "true" {
				r.text(&e.Cause)(n, path)
				r.cause(n, path, e.Cause)
			}
		}),
	}
}

// only reads one of some words.
func (r *suiteReader) only(into *string, words ...string) field {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, strings.Join(words, " or "))
		if ok && !slices.Contains(words, s) {
			r.wrong(n, path, "expected %s", strings.Join(words, " or "))
		}
		*into = s
	}
}

// brief is a node as in the file, in one line.
func brief(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			return fmt.Sprintf("%q", n.Value)
		}
		return n.Value
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			items[i] = brief(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case yaml.MappingNode:
		var items []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := brief(n.Content[i+1])
			if n.Content[i+1].Kind == yaml.MappingNode {
				value = "{" + value + "}"
			}
			items = append(items, n.Content[i].Value+": "+value)
		}
		return strings.Join(items, ", ")
	}
	return ""
}
