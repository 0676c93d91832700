// Does what agents do with Twilio's client, against the gateway at argv[2], and
// prints what came of it as JSON. The request is on stdin.
import twilio from "twilio";
import { readFileSync } from "node:fs";

const asked = JSON.parse(readFileSync(0, "utf8"));

class Here extends twilio.RequestClient {
  request(o) {
    return super.request({ ...o, uri: o.uri.replace("https://api.twilio.com", process.argv[2]) });
  }
}

const plain = (c) => ({ sid: c.sid, status: c.status, to: c.to, from: c.from, direction: c.direction, created: c.dateCreated?.toISOString(), account: c.accountSid });
const outcomes = [];
for (const step of asked.steps) {
  if (step.validate) {
    const v = step.validate;
    outcomes.push({ valid: twilio.validateRequest(v.key, v.signature, v.url, v.params ?? {}) });
    continue;
  }
  const client = twilio(asked.account, step.key ?? asked.key, { httpClient: new Here(), accountSid: asked.account });
  try {
    const call = client.calls(step.sid);
    outcomes.push(plain(step.update ? await call.update(step.update) : await call.fetch()));
  } catch (e) {
    outcomes.push({ error: { status: e.status, code: e.code, message: e.message, more: e.moreInfo } });
  }
}
process.stdout.write(JSON.stringify(outcomes));
