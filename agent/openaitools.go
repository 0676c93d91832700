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

// waitingTool is a function that is done when all that was said before it has
// been heard.
type waitingTool struct {
	call string // its id
	last bool   // it ends the call
	do   func()
}

// itemDone looks for functions that the model calls.
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
	told := func(err error) { o.resulted(id, err) }
	tool := waitingTool{call: id}
	switch name {
	case "transfer_call":
		tool.do = func() { o.leg.transfer(asked.transfer(), told) }
	case "hang_up":
		tool.last = true
		tool.do = func() {
			o.leg.hangup(inWords(asked.Hangup.Reason, "the agent hung up"), func(err error) {
				if err != nil { // else there is nobody to go on with
					told(err)
				}
			})
		}
	case "send_digits":
		tool.do = func() { o.leg.digits(asked.DTMF.Digits, told) }
	default:
		return o.result(id, "there is no function of this name")
	}
	o.tools[toolMark+id] = tool
	return o.leg.mark(toolMark + id)
}

// stay keeps the call: the caller has interrupted the goodbye.
func (o *openai) stay() error {
	for mark, tool := range o.tools {
		if tool.last {
			delete(o.tools, mark)
			if err := o.output(tool.call, "the caller has interrupted you: go on with the conversation"); err != nil {
				return err
			}
		}
	}
	return nil
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

// resulted is told, later, how a function went.
func (o *openai) resulted(call string, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if err := o.result(call, why); err != nil {
		o.leg.finish(faultOf(err))
	}
}

// result tells the model how a function went, and has it go on.
func (o *openai) result(call, failure string) error {
	if err := o.output(call, failure); err != nil {
		return err
	}
	return o.respond("")
}

// output tells the model how a function went.
func (o *openai) output(call, failure string) error {
	output := map[string]any{"ok": failure == ""}
	if failure != "" {
		output["error"] = failure
	}
	text, err := json.Marshal(output)
	if err != nil {
		return err
	}
	return o.send(map[string]any{"type": "conversation.item.create", "item": map[string]any{
		"type": "function_call_output", "call_id": call, "output": string(text),
	}})
}
