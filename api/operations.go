package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomline/roomline/dialplan"
)

// list is the shape of every list.
type list[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"pass it as cursor to get the next page; absent on the last one"`
}

// listed makes a list; items is never null.
func listed[T any](items []T, next string) *listOutput[T] {
	if items == nil {
		items = []T{}
	}
	return &listOutput[T]{Body: list[T]{Items: items, Next: next}}
}

// listOutput is the answer of a list call.
type listOutput[T any] struct{ Body list[T] }

// one is the answer with a single thing.
type one[T any] struct{ Body T }

// Paging is the part of a query that every list understands. It is exported
// because huma reads embedded structs only then.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"how many items at most"`
	Cursor string `query:"cursor" maxLength:"512" doc:"next of the page before"`
}

// none is the input or answer of a call that has no particulars.
type none struct{}

// Named is a call about one thing that has a name or an id.
type Named struct {
	ID string `path:"id" maxLength:"256"`
}

// patternsSchema documents [dialplan.Patterns]: one string or a list of them.
type patternsSchema struct{}

// Schema implements huma.SchemaProvider.
func (patternsSchema) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{
		OneOf:       []*huma.Schema{text, {Type: huma.TypeArray, Items: text}},
		Description: "one pattern or a list; exact, or a prefix when it ends in *",
	}
}

// Names of fields are case-sensitive: otherwise a "TO" beside "to" would be
// checked as one and taken as the other. The library has one switch for all.
func init() { huma.ValidateStrictCasing = true }

// operations registers every call that speaks JSON.
func (s *Server) operations(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("Roomline", s.version)
	config.Info.Description = "Phone lines in, WebRTC rooms out. Errors are RFC 9457 problem details; lists are {items, next}."
	config.CreateHooks = nil // no $schema fields
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{tidy}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":       {Type: "http", Scheme: "bearer", Description: "an API key"},
		"roomToken": {Type: "http", Scheme: "bearer", Description: "a token of POST /v1/rooms/{room}/tokens"},
	}
	config.Security = []map[string][]string{{"key": {}}}
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[dialplan.Patterns](), reflect.TypeFor[patternsSchema]())
	a := humago.New(boundedMux{mux}, config)

	s.callOperations(a)
	s.actionOperations(a)
	s.roomOperations(a)
	s.queueOperations(a)
	s.participantOperations(a)
	s.roomAgentOperations(a)
	s.qualityOperations(a)
	s.transcriptOperations(a)
	s.planOperations(a)
	s.keyOperations(a)
	s.webhookOperations(a)
	s.historyOperations(a)
	s.traceOperations(a)
	s.trunkStateOperations(a)
	s.agentStateOperations(a)
	s.describeOthers(a.OpenAPI())
	return a
}

// boundedMux puts [bounded] around every call that huma registers.
type boundedMux struct{ *http.ServeMux }

func (m boundedMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, bounded(http.HandlerFunc(h)))
}

// operation describes one call; status 0 means 200.
func operation(id, method, path, summary string, status int) huma.Operation {
	tag, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status,
		Tags: []string{tag}, Errors: []int{400, 401, 403, 404, 409, 422, 429, 503},
		MaxBodyBytes:    maxBody + 1, // bounded has refused larger ones already
		BodyReadTimeout: -1,          // bounded has read the body; a deadline would outlive it
	}
}

// openAPI serves the description of a; anybody may read it. It is made once.
func openAPI(a huma.API) http.HandlerFunc {
	document := sync.OnceValues(func() ([]byte, error) { return json.Marshal(a.OpenAPI()) })
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := document()
		if err != nil {
			writeProblem(w, problem(http.StatusInternalServerError, "the description could not be written"))
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(text)
	}
}
