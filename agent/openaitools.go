package agent

import (
	"encoding/json"

	"github.com/roomline/roomline/bridge"
)

// offeredTools are the functions that every agent on a call may call.
const offeredTools = `[
{"type":"function","name":"transfer_call","description":"Pass the caller on: to a telephone number, a room, a queue of people, or another agent. Tell the caller first. Name exactly one of to, room, queue and agent.",
 "parameters":{"type":"object","properties":{
  "to":{"type":"string","description":"telephone number, as in +15551234567"},
  "room":{"type":"string","description":"name of a room"},
  "queue":{"type":"string","description":"name of a queue of people"},
  "agent":{"type":"string","description":"name of another agent"},
  "summary":{"type":"string","description":"what whoever takes over has to know: who calls, what they want, what was done"}},
  "required":["summary"],"additionalProperties":false}},
{"type":"function","name":"hang_up","description":"End the call. Say goodbye first, in the same answer.",
 "parameters":{"type":"object","properties":{"reason":{"type":"string","description":"why the call ends, in a few words"}},
  "required":["reason"],"additionalProperties":false}},
{"type":"function","name":"send_digits","description":"Press keys on the telephone, for menus of the other side.",
 "parameters":{"type":"object","properties":{"digits":{"type":"string","description":"0-9, *, #, A-D"}},
  "required":["digits"],"additionalProperties":false}}]`

// toolMark stands before the id of a function call whose place is to be heard.
const toolMark = "t"

// mostTools bounds the functions that wait for what is said before them.
const mostTools = 100

// itemDone looks for functions that the model calls. They are done when all that
// was said before has been heard.
func (o *openai) itemDone(e *realtimeEvent) error {
	if e.Item.Type != "function_call" || e.Item.Status == "incomplete" {
		return nil
	}
	if len(o.tools) >= mostTools {
		return faulty(bridge.FaultFlood, "more than %d functions wait to be done", mostTools)
	}
	id, name := e.Item.CallID, e.Item.Name
	var asked wish
	if err := json.Unmarshal([]byte(e.Item.Arguments), asked.field(name)); err != nil {
		return o.result(id, "the arguments are no JSON of the kind that was asked for")
	}
	do := func(told func(error)) {}
	switch name {
	case "transfer_call":
		do = func(told func(error)) { o.leg.transfer(asked.transfer(), told) }
	case "hang_up":
		do = func(told func(error)) { o.leg.hangup(inWords(asked.Hangup.Reason, "the agent hung up"), told) }
	case "send_digits":
		do = func(told func(error)) { o.leg.digits(asked.DTMF.Digits, told) }
	default:
		return o.result(id, "there is no function of this name")
	}
	o.tools[toolMark+id] = func() {
		do(func(err error) {
			why := ""
			if err != nil {
				why = err.Error()
			}
			if err := o.result(id, why); err != nil {
				o.leg.finish(faultOf(err))
			}
		})
	}
	return o.leg.mark(toolMark + id)
}

// field is where the arguments of a function belong.
func (w *wish) field(function string) any {
	switch function {
	case "transfer_call":
		return &w.Transfer
	case "hang_up":
		return &w.Hangup
	case "send_digits":
		return &w.DTMF
	}
	return &struct{}{}
}

// result tells the model how a function went, and has it go on.
func (o *openai) result(call, failure string) error {
	output := map[string]any{"ok": failure == ""}
	if failure != "" {
		output["error"] = failure
	}
	text, err := json.Marshal(output)
	if err != nil {
		return err
	}
	if err := o.send(map[string]any{"type": "conversation.item.create", "item": map[string]any{
		"type": "function_call_output", "call_id": call, "output": string(text),
	}}); err != nil {
		return err
	}
	return o.respond("")
}
