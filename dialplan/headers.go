package dialplan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	headerForm    = regexp.MustCompile("^[A-Za-z0-9][A-Za-z0-9!%*_+.'`~-]{0,63}$") // a token, RFC 3261 section 25.1
	attributeForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// owned are the header fields that the dialog, the transaction or a secret
// owns: a dial plan neither reads nor writes them.
var owned = lowerSet("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards",
	"Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info",
	"Allow", "Allow-Events", "Accept", "Accept-Encoding", "Supported", "Require", "Proxy-Require", "Unsupported",
	"Session-Expires", "Min-SE", "Expires", "Min-Expires", "RSeq", "RAck", "Event", "Subscription-State",
	"Refer-To", "Refer-Sub", "Referred-By", "Replaces", "Target-Dialog", "Path", "Service-Route", "MIME-Version", "Timestamp")

// identity are the header fields by which caller_id and the call itself speak.
var identity = lowerSet("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Identity", "Identity-Info",
	"Diversion", "History-Info")

func lowerSet(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}

// headerFault says why a header field may not stand in a dial plan; empty when it may.
func headerFault(name string, written bool) string {
	lower := strings.ToLower(name)
	switch {
	case !headerForm.MatchString(name):
		return "expected the name of a header field, like X-Tenant"
	case len(name) == 1:
		return "expected the long form of the header field's name"
	case owned[lower] || strings.HasPrefix(lower, "content-"):
		return "this header field belongs to the dialog: expected another one, like X-Tenant"
	case written && identity[lower]:
		return "this header field is written by caller_id and by the call itself"
	}
	return ""
}

func (c *checker) headerMap(field string, m *HeaderMap) {
	if m == nil {
		return
	}
	c.headerNames(field+".in", slices.Sorted(maps.Keys(m.In)), false)
	for _, name := range slices.Sorted(maps.Keys(m.In)) {
		if !attributeForm.MatchString(m.In[name]) {
			c.wrong(field+".in."+name, m.In[name], "expected an attribute of 1 to 63 letters a-z, digits and _, starting with a letter")
		}
	}
	c.headerNames(field+".out", slices.Sorted(maps.Keys(m.Out)), true)
	for _, name := range slices.Sorted(maps.Keys(m.Out)) {
		if err := checkHeaderTemplate(m.Out[name]); err != nil {
			c.wrong(field+".out."+name, m.Out[name], err.Error())
		}
	}
}

// headerNames checks the names and that no two differ in letter case alone.
func (c *checker) headerNames(field string, names []string, written bool) {
	seen := map[string]bool{}
	for _, name := range names {
		if fault := headerFault(name, written); fault != "" {
			c.wrong(field+"."+name, name, fault)
		}
		if lower := strings.ToLower(name); seen[lower] {
			c.wrong(field+"."+name, name, "this header field is listed already; letter case makes no difference")
		} else {
			seen[lower] = true
		}
	}
}

// routeHeaders checks conditions on header fields and attributes.
func (c *checker) routeHeaders(field string, headers map[string]Patterns) {
	names := slices.Sorted(maps.Keys(headers))
	c.headerNames(field, names, false)
	for _, name := range names {
		if len(headers[name]) == 0 {
			c.wrong(field+"."+name, "", "expected a pattern or a list of patterns; * is any value")
		}
		for i, p := range headers[name] {
			switch at := fmt.Sprintf("%s.%s[%d]", field, name, i); {
			case p == "":
				c.wrong(at, "", "expected a value, or a prefix that ends in *")
			case strings.Contains(strings.TrimSuffix(p, "*"), "*"):
				c.wrong(at, p, "expected * only at the end")
			case hasControls(p):
				c.wrong(at, p, "expected a pattern without control characters")
			}
		}
	}
}

// Attributes are what the header fields of a call that comes in say by this map:
// attribute → value. Names of header fields are compared without letter case; a
// field that is missing or empty gives no attribute. m may be nil.
func (m *HeaderMap) Attributes(headers map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	made := map[string]string{}
	for name, attribute := range m.In {
		if value := valueOf(headers, name); value != "" {
			made[attribute] = value
		}
	}
	return made
}

// with adds the attributes that header fields make to them.
func (m *HeaderMap) with(headers map[string]string) map[string]string {
	made := m.Attributes(headers)
	if len(made) == 0 {
		return headers
	}
	all := maps.Clone(headers)
	maps.Copy(all, made)
	return all
}

// Fields are the header fields that a call which leaves carries by this map.
// vars are those of [Expand]. A field whose template comes out empty is left
// out, and control characters never get into one. m may be nil.
func (m *HeaderMap) Fields(vars map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for name, template := range m.Out {
		value, err := expand(template, vars, plainText)
		if value = strings.TrimSpace(value); err == nil && value != "" {
			out[name] = value[:min(len(value), 1024)]
		}
	}
	return out
}

// plainText keeps a value on its line.
func plainText(value string) (string, error) {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, value), nil
}

// valueOf looks a header field or attribute up without letter case.
func valueOf(values map[string]string, name string) string {
	if value, ok := values[name]; ok {
		return value
	}
	for key, value := range values {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
