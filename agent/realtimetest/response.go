package realtimetest

import (
	"encoding/base64"
	"time"
)

// response is one answer of the model under way.
type response struct {
	s      *Session
	id     string
	n      int
	stop   chan struct{} // closed when it is cancelled
	why    string        // it was cancelled for
	halted bool
	output []any
}

// respondLocked has the model answer.
func (s *Session) respondLocked() {
	if s.closed {
		return
	}
	r := &response{s: s, id: s.id("resp"), n: s.answers, stop: make(chan struct{})}
	s.answers++
	s.current = r
	s.sendLocked("response.created", body{"response": r.jsonLocked("in_progress", nil)})
	s.work.Go(r.run)
}

// cancelLocked stops the response; its end is told when it has stopped.
func (r *response) cancelLocked(why string) {
	if !r.halted {
		r.halted, r.why = true, why
		close(r.stop)
	}
}

func (r *response) run() {
	var reply Reply
	if r.s.server.Reply != nil {
		reply = r.s.server.Reply(r.s, r.n)
	}
	if reply.Sound == nil && reply.Say > 0 {
		reply.Sound = Voice(r.n, reply.Say)
	}
	r.s.mu.Lock()
	r.s.sendLocked("rate_limits.updated", body{"rate_limits": []any{
		body{"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5},
	}})
	r.s.mu.Unlock()
	if reply.Fail == nil && len(reply.Sound) > 0 {
		r.speak(reply)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if reply.Fail == nil && !r.halted {
		for _, c := range reply.Calls {
			r.callLocked(c)
		}
	}
	r.endLocked(reply.Fail)
}

// speak sends what the model says, faster than anyone can hear it.
func (r *response) speak(reply Reply) {
	s := r.s
	s.mu.Lock()
	i := &item{id: s.id("item"), kind: "message", role: "assistant", status: "in_progress"}
	at := len(r.output)
	s.sendLocked("response.output_item.added", body{"response_id": r.id, "output_index": at, "item": i.json()})
	s.addItemLocked(i, false)
	s.spoken = true
	s.sendLocked("response.content_part.added", r.about(i, body{"part": body{"type": "audio", "transcript": ""}}))
	s.mu.Unlock()
	step := int(s.server.Delta.Milliseconds()) * 8
	tick := time.NewTicker(max(s.server.Pace, time.Nanosecond))
	defer tick.Stop()
	told := 0
	for from := 0; from < len(reply.Sound) && !r.over(tick); from += step {
		to := min(from+step, len(reply.Sound))
		s.mu.Lock()
		if end := len(reply.Words) * to / len(reply.Sound); end > told {
			s.sendLocked("response.output_audio_transcript.delta", r.about(i, body{"delta": reply.Words[told:end]}))
			told = end
		}
		i.sound += to - from
		s.sendLocked("response.output_audio.delta", r.about(i, body{
			"delta": base64.StdEncoding.EncodeToString(s.toWire(reply.Sound[from:to])),
		}))
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.spokenLocked(i, reply.Words[:told])
}

// over waits for the next step; true: the response has been cancelled.
func (r *response) over(tick *time.Ticker) bool {
	select {
	case <-r.stop:
		return true
	case <-tick.C:
		select {
		case <-r.stop:
			return true
		default:
			return false
		}
	}
}

// spokenLocked tells the end of what was said.
func (r *response) spokenLocked(i *item, words string) {
	s := r.s
	s.sendLocked("response.output_audio.done", r.about(i, body{}))
	s.sendLocked("response.output_audio_transcript.done", r.about(i, body{"transcript": words}))
	s.sendLocked("response.content_part.done", r.about(i, body{"part": body{"type": "audio", "transcript": words}}))
	i.status, i.content = "completed", []any{body{"type": "output_audio", "transcript": words}}
	if r.halted {
		i.status = "incomplete"
	}
	r.doneLocked(i)
}

// about adds to an event of an item which it is.
func (r *response) about(i *item, event body) body {
	event["response_id"], event["item_id"], event["output_index"], event["content_index"] = r.id, i.id, len(r.output), 0
	return event
}

func (r *response) callLocked(c FunctionCall) {
	s := r.s
	i := &item{id: s.id("item"), kind: "function_call", status: "in_progress", name: c.Name, callID: s.id("call")}
	s.sendLocked("response.output_item.added", body{"response_id": r.id, "output_index": len(r.output), "item": i.json()})
	s.addItemLocked(i, false)
	about := func(more body) body {
		more["response_id"], more["item_id"], more["output_index"], more["call_id"] = r.id, i.id, len(r.output), i.callID
		return more
	}
	s.sendLocked("response.function_call_arguments.delta", about(body{"delta": c.Arguments}))
	i.status, i.args = "completed", c.Arguments
	s.sendLocked("response.function_call_arguments.done", about(body{"name": c.Name, "arguments": c.Arguments}))
	r.doneLocked(i)
}

func (r *response) doneLocked(i *item) {
	r.s.sendLocked("conversation.item.done", body{"item": i.json()})
	r.s.sendLocked("response.output_item.done", body{"response_id": r.id, "output_index": len(r.output), "item": i.json()})
	r.output = append(r.output, i.json())
}

func (r *response) endLocked(fail *Failure) {
	status, details := "completed", any(nil)
	switch {
	case fail != nil:
		status = "failed"
		details = body{"type": "failed", "error": body{"type": fail.Type, "code": nullable(fail.Code), "message": fail.Message}}
	case r.halted:
		status, details = "cancelled", body{"type": "cancelled", "reason": r.why}
	}
	r.s.current = nil
	r.s.sendLocked("response.done", body{"response": r.jsonLocked(status, details)})
}

func (r *response) jsonLocked(status string, details any) body {
	out := r.s.sideLocked("output")
	b := body{
		"object": "realtime.response", "id": r.id, "status": status, "status_details": details,
		"output": append([]any{}, r.output...), "conversation_id": "conv_000001", "output_modalities": []any{"audio"},
		"max_output_tokens": "inf", "metadata": nil, "usage": nil,
		"audio": body{"output": body{"format": out["format"], "voice": out["voice"]}},
	}
	if status != "in_progress" {
		b["usage"] = body{"total_tokens": 30, "input_tokens": 10, "output_tokens": 20,
			"input_token_details":  body{"text_tokens": 5, "audio_tokens": 5, "cached_tokens": 0},
			"output_token_details": body{"text_tokens": 5, "audio_tokens": 15}}
	}
	return b
}
