// A voice agent of the OpenAI Agents SDK on a telephone line: the gateway connects
// here as Twilio would, and the SDK's own transport for Twilio does the rest.
//
//   OPENAI_API_KEY=sk-… node index.mjs
//
// PORT       where to listen, 8091
// HOST       and on which address, 127.0.0.1
// MODEL_URL  a Realtime server other than OpenAI's, wss://…/v1/realtime?model=…
// ROOMLINE_URL, ROOMLINE_AGENT_KEY  the gateway and this agent's key: calls are ended and passed on there
// DESK       where callers are passed on to, the name of a queue

import { createServer } from 'node:http';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents/realtime';
import { TwilioRealtimeTransportLayer } from '@openai/agents-extensions';
import { WebSocketServer } from 'ws';
import { z } from 'zod';

const env = process.env;
const server = createServer((request, response) => response.writeHead(426).end('This is a WebSocket.\n'));
const calls = new WebSocketServer({ server, path: '/media' });
calls.on('connection', answer);
server.listen(Number(env.PORT ?? 8091), env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on ws://${server.address().address}:${server.address().port}/media`);
});

/** Answers one call: the socket is the gateway's. */
async function answer(socket) {
  const transport = new TwilioRealtimeTransportLayer({ twilioWebSocket: socket });
  const call = new Call(socket);
  transport.on('*', (event) => {
    if (event.type === 'twilio_message') call.take(event.message, session);
  });
  const session = new RealtimeSession(receptionist(call), {
    transport,
    model: 'gpt-realtime-2.1',
    config: { audio: { input: { turnDetection: { type: 'server_vad', interruptResponse: true } }, output: { voice: 'marin' } } },
  });
  session.on('error', ({ error }) => {
    console.error('the model:', error?.error?.message ?? error?.message ?? error);
    if (transport.status !== 'connected') socket.close(1011, 'the model has gone'); // the gateway takes the caller elsewhere
  });
  transport.on('disconnected', () => socket.close(1011, 'the model has gone'));
  try {
    await session.connect({ apiKey: env.OPENAI_API_KEY, ...(env.MODEL_URL ? { url: env.MODEL_URL } : {}) });
    transport.requestResponse(); // the agent speaks first
  } catch (error) {
    console.error('no model:', error?.message ?? error);
    socket.close(1011, 'no model');
  }
}

/** What the agent is, and what it can do besides talking. */
function receptionist(call) {
  return new RealtimeAgent({
    name: 'Receptionist',
    instructions: 'You answer the telephone of a small clinic. Be brief and friendly. Say goodbye before you hang up.',
    tools: [
      tool({
        name: 'hang_up',
        description: 'End the call, after you have said goodbye.',
        parameters: z.object({ reason: z.string() }),
        execute: () => call.hangUp(),
      }),
      tool({
        name: 'transfer_to_desk',
        description: 'Pass the caller on to a person.',
        parameters: z.object({ summary: z.string() }),
        execute: () => call.transfer(env.DESK ?? 'desk'),
      }),
    ],
  });
}

/** One call, as the gateway tells of it in the protocol of Twilio's Media Streams. */
class Call {
  constructor(socket) {
    this.socket = socket;
    this.marks = new Map();
  }

  take(message, session) {
    switch (message.event) {
      case 'start':
        this.start = message.start; // streamSid, callSid, accountSid, customParameters
        break;
      case 'dtmf':
        session.sendMessage(`The caller has pressed ${message.dtmf.digit}.`);
        break;
      case 'mark':
        this.marks.get(message.mark.name)?.();
        this.marks.delete(message.mark.name);
        break;
    }
  }

  /** Waits until all that was said so far has been heard. */
  heard() {
    return new Promise((resolve) => {
      const name = `heard:${crypto.randomUUID()}`;
      this.marks.set(name, resolve);
      this.socket.send(JSON.stringify({ event: 'mark', streamSid: this.start.streamSid, mark: { name } }));
    });
  }

  async hangUp() {
    await this.heard();
    return this.update({ Status: 'completed' });
  }

  transfer(queue) {
    return this.update({ Twiml: `<Response><Enqueue>${queue}</Enqueue></Response>` });
  }

  /** Asks the gateway, by the route that Twilio has for it. */
  async update(form) {
    const { accountSid, callSid } = this.start;
    const response = await fetch(`${env.ROOMLINE_URL ?? 'http://127.0.0.1:8080'}/2010-04-01/Accounts/${accountSid}/Calls/${callSid}.json`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`${accountSid}:${env.ROOMLINE_AGENT_KEY ?? ''}`)}` },
      body: new URLSearchParams(form),
    });
    return response.ok ? 'Done.' : `It did not work: ${response.status}.`;
  }
}
