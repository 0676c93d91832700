package api

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
)

// describeOthers adds to the description what is not spoken through huma:
// events, and the signalling of rooms, which has tokens of its own.
func (s *Server) describeOthers(doc *huma.OpenAPI) {
	event := doc.Components.Schemas.Schema(reflect.TypeFor[bridge.Event](), true, "Event")
	doc.AddOperation(&huma.Operation{
		OperationID: "stream-events", Method: http.MethodGet, Path: "/v1/events", Tags: []string{"events"},
		Summary: "Follow what happens, as server-sent events",
		Description: "Each message holds one event as JSON and has its id. Last-Event-ID resumes without loss. " +
			"Types are call.created .ringing .answered .held .resumed .verified .transferred .ended, room.opened .closed, participant.joined .left .away .back, " +
			"participant.quality (a leg's quality turned good, fair, poor or bad: class, was, and quality with the figures of the last seconds; at most once in 10 s), " +
			"track.published .ended, queue.joined .position .offered .accepted .declined .left, " +
			"transfer.started .briefing .accepted .declined .failed (of warm ones, with what is handed over), participant.hearing (somebody is heard by others than before), " +
			"and dtmf.received. " +
			"A message named end says why the stream ends; one named gap says between which ids the store could not tell what happened.",
		Parameters: []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: text(eventID.String()), Description: "the last event that was seen"}},
		Responses: map[string]*huma.Response{
			"200":     {Description: "A stream that goes on", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: event}}},
			"default": problemResponse(doc),
		},
	})
	doc.AddOperation(&huma.Operation{
		OperationID: "watch-queue", Method: http.MethodGet, Path: "/v1/queues/{queue}/events", Tags: []string{"queues"},
		Summary: "Look at a queue, as server-sent events",
		Description: "A message named changed says that the list of calls may have changed, and how many there are. While the stream is open, " +
			"its reader counts as somebody who may accept, unless available is false.",
		Parameters: []*huma.Param{
			{Name: "queue", In: "path", Required: true, Schema: text("")},
			{Name: "identity", In: "query", Schema: text(""), Description: "who looks; the same as in accept and decline"},
			{Name: "available", In: "query", Schema: text("^(true|false)$"), Description: "whether they may accept; true when absent"},
		},
		Responses: map[string]*huma.Response{
			"200":     {Description: "A stream that goes on", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: text("")}}},
			"default": problemResponse(doc),
		},
	})
	s.describeSignalling(doc)
}

// describeSignalling lists what package room serves.
func (s *Server) describeSignalling(doc *huma.OpenAPI) {
	room := &huma.Param{Name: "room", In: "path", Required: true, Schema: text(roomPattern.String())}
	session := &huma.Param{Name: "id", In: "path", Required: true, Schema: text("")}
	sdp := map[string]*huma.MediaType{"application/sdp": {Schema: text("")}}
	fragment := map[string]*huma.MediaType{"application/trickle-ice-sdpfrag": {Schema: text("")}}
	add := func(id, method, path, summary string, status string, answer *huma.Response, body map[string]*huma.MediaType, params ...*huma.Param) {
		op := &huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"signalling"}, Parameters: params,
			Security:  []map[string][]string{{"roomToken": {}}},
			Responses: map[string]*huma.Response{status: answer, "default": problemResponse(doc)},
		}
		if body != nil {
			op.RequestBody = &huma.RequestBody{Required: true, Content: body}
		}
		doc.AddOperation(op)
	}
	created := &huma.Response{Description: "SDP answer; Location is the session", Content: sdp}
	done := &huma.Response{Description: "Done"}
	add("signal", http.MethodGet, "/v1/rooms/{room}/ws", "Signalling for browsers on a WebSocket; the server always makes the offer",
		"101", &huma.Response{Description: "Switching to WebSocket"}, nil, room)
	add("whip", http.MethodPost, "/v1/rooms/{room}/whip", "Publish: SDP offer in, SDP answer out (RFC 9725)", "201", created, sdp, room)
	add("whep", http.MethodPost, "/v1/rooms/{room}/whep", "Listen: what a phone in this seat would hear", "201", created, sdp, room)
	add("trickle", http.MethodPatch, "/v1/rooms/{room}/sessions/{id}", "Add candidates to a WHIP or WHEP session", "204", done, fragment, room, session)
	add("end-session", http.MethodDelete, "/v1/rooms/{room}/sessions/{id}", "End a WHIP or WHEP session", "200", done, nil, room, session)
}

// text is a string schema; pattern may be empty.
func text(pattern string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Pattern: pattern} }

// problemResponse refers to the one form of errors.
func problemResponse(doc *huma.OpenAPI) *huma.Response {
	schema := doc.Components.Schemas.Schema(reflect.TypeFor[huma.ErrorModel](), true, "ErrorModel")
	return &huma.Response{Description: "Problem", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}}
}
