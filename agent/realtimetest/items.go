package realtimetest

import "fmt"

// item is one of the conversation's.
type item struct {
	id, kind, role, status string
	content                []any
	name, callID, args     string // of a function call
	output                 string // of its result
	sound                  int    // bytes of µ-law that it has had so far
}

func (i *item) json() body {
	b := body{"id": i.id, "object": "realtime.item", "type": i.kind, "status": i.status}
	switch i.kind {
	case "message":
		b["role"], b["content"] = i.role, append([]any{}, i.content...)
	case "function_call":
		b["name"], b["call_id"], b["arguments"] = i.name, i.callID, i.args
	case "function_call_output":
		b["call_id"], b["output"] = i.callID, i.output
	}
	return b
}

func (s *Session) lastItemLocked() any {
	if len(s.items) == 0 {
		return nil
	}
	return s.items[len(s.items)-1].id
}

// addItemLocked adds an item; done: it is complete already.
func (s *Session) addItemLocked(i *item, done bool) {
	previous := s.lastItemLocked()
	s.items = append(s.items, i)
	s.sendLocked("conversation.item.added", body{"item": i.json(), "previous_item_id": previous})
	if done {
		s.sendLocked("conversation.item.done", body{"item": i.json(), "previous_item_id": previous})
	}
}

func (s *Session) itemLocked(event body) (*item, *wrong) {
	id, is := event["item_id"].(string)
	if !is {
		return nil, missing("item_id")
	}
	for _, i := range s.items {
		if i.id == id {
			return i, nil
		}
	}
	return nil, &wrong{"item_not_found", "item_id", fmt.Sprintf("Item with item_id '%s' not found.", id)}
}

func (s *Session) createItem(event body) *wrong {
	given, is := event["item"].(body)
	if !is {
		return missing("item")
	}
	i := &item{kind: str(given["type"]), role: str(given["role"]), status: "completed"}
	i.id, i.callID, i.output = str(given["id"]), str(given["call_id"]), str(given["output"])
	i.content, _ = given["content"].([]any)
	if i.id == "" {
		i.id = s.id("item")
	}
	switch i.kind {
	case "message":
		if w := checkMessage(i); w != nil {
			return w
		}
	case "function_call_output":
		if !s.calledLocked(i.callID) {
			return &wrong{"invalid_tool_call_id", "", fmt.Sprintf("Tool call ID '%s' not found in conversation.", i.callID)}
		}
	default:
		return invalid("item.type", given["type"], "'message', 'function_call', 'function_call_output'")
	}
	s.addItemLocked(i, true)
	return nil
}

func checkMessage(i *item) *wrong {
	want := map[string]string{"system": "input_text", "user": "input_text", "assistant": "output_text"}[i.role]
	if want == "" {
		return invalid("item.role", i.role, "'assistant', 'system', 'user'")
	}
	for n, v := range i.content {
		part, _ := v.(body)
		if kind := str(part["type"]); kind != want && (i.role != "user" || kind != "input_audio") {
			return invalid(fmt.Sprintf("item.content[%d].type", n), kind, "'"+want+"'")
		}
	}
	return nil
}

func (s *Session) calledLocked(id string) bool {
	for _, i := range s.items {
		if i.kind == "function_call" && i.callID == id {
			return true
		}
	}
	return false
}

func (s *Session) deleteItem(event body) *wrong {
	i, w := s.itemLocked(event)
	if w != nil {
		return w
	}
	for n := range s.items {
		if s.items[n] == i {
			s.items = append(s.items[:n:n], s.items[n+1:]...)
			break
		}
	}
	s.sendLocked("conversation.item.deleted", body{"item_id": i.id})
	return nil
}

func (s *Session) retrieveItem(event body) *wrong {
	i, w := s.itemLocked(event)
	if w == nil {
		s.sendLocked("conversation.item.retrieved", body{"item": i.json()})
	}
	return w
}

// truncateItem forgets what of an item was not heard.
func (s *Session) truncateItem(event body) *wrong {
	i, w := s.itemLocked(event)
	if w != nil {
		return w
	}
	end, is := event["audio_end_ms"].(float64)
	switch {
	case !is:
		return missing("audio_end_ms")
	case event["content_index"] != 0.:
		return invalid("content_index", event["content_index"], "0")
	case end != float64(int64(end)) || end < 0:
		return &wrong{"invalid_type", "audio_end_ms", "Invalid type for 'audio_end_ms': expected an integer of at least 0."}
	case i.role != "assistant" || i.sound == 0:
		return &wrong{"unsupported_content_type", "", "Only model output audio messages can be truncated"}
	case int64(end) > ms(i.sound):
		return &wrong{"invalid_value", "audio_end_ms", fmt.Sprintf("Audio content of %dms is already shorter than %dms", ms(i.sound), int64(end))}
	}
	i.sound = int(end) * 8
	i.content = []any{body{"type": "output_audio"}}
	s.sendLocked("conversation.item.truncated", body{"item_id": i.id, "content_index": 0, "audio_end_ms": int64(end)})
	return nil
}

func str(v any) string {
	s, _ := v.(string)
	return s
}
