// What travels between the page and the gateway, as types. No code.

/**
 * @typedef {object} Quality
 * @property {number} [packets_received]
 * @property {number} [packets_lost]
 * @property {number} [packets_sent]
 * @property {number} [jitter_ms]
 * @property {number} [round_trip_ms]
 * @property {number} [remote_loss_percent] 0 to 100
 * @property {number} [loss_percent] 0 to 100
 * @property {number} [concealed_percent] 0 to 100
 * @property {number} [delay_ms] one way
 * @property {number} [buffer_ms] the jitter buffer's share of it
 * @property {number} [mos] of what we hear, 1 to 4.5; 0 or absent while unknown
 * @property {number} [remote_mos] of what they hear
 * @property {number} [mos_min] the worst five seconds
 * @property {number} [mos_avg]
 * @property {QualityPoint} [live] the last seconds
 */

/**
 * How sound travelled in some seconds.
 * @typedef {object} QualityPoint
 * @property {string} at their end
 * @property {number} loss_percent 0 to 100
 * @property {number} concealed_percent 0 to 100
 * @property {number} [recovered_percent] 0 to 100
 * @property {number} jitter_ms
 * @property {number} round_trip_ms
 * @property {number} delay_ms
 * @property {number} buffer_ms
 * @property {number} remote_loss_percent
 * @property {number} r_factor 0 to 93.2; 0: nothing came
 * @property {number} mos
 * @property {number} remote_r_factor 0: not reported
 * @property {number} remote_mos
 */

/** @typedef {{id: string, kind: "audio" | "video", codec: string}} Track */

/**
 * @typedef {object} Participant
 * @property {string} id
 * @property {string} identity
 * @property {string} name
 * @property {string} kind phone, browser, whip, whep or agent
 * @property {string} role
 * @property {string} person participants with one person are one human
 * @property {string} [call_id]
 * @property {string} joined_at
 * @property {boolean} muted
 * @property {string} [heard_by] all, nobody, humans or a participant's id
 * @property {boolean} [away] its network is lost; it may come back
 * @property {boolean} speaking
 * @property {number} level_db dBov, -127 to 0
 * @property {string[] | null} [hears]
 * @property {string} [road] direct, mixed or paced
 * @property {Track[] | null} [tracks]
 * @property {Quality} [quality]
 */

/**
 * @typedef {object} RoomEvent
 * @property {string} [id]
 * @property {string} type
 * @property {string} [time]
 * @property {string} [call_id]
 * @property {string} [room]
 * @property {Record<string, any>} [data]
 */

/**
 * What our role and token allow; the gateway enforces it, the page hides what
 * would be refused.
 * @typedef {{speak?: boolean, camera?: boolean, watch?: boolean, hang_up?: boolean, digits?: boolean,
 *   whisper?: boolean}} Grants
 */

/**
 * A call that we may take over, or how that went.
 * @typedef {object} OfferedCall
 * @property {string} id
 * @property {string} call_id
 * @property {string} from
 * @property {"ringing" | "briefing" | "accepted" | "failed"} state
 * @property {boolean} briefing somebody is there to talk to before it is taken
 * @property {string} [participant] who talks, or took it
 * @property {string} [reason]
 * @property {{by?: string, reason?: string, summary?: string, data?: Record<string, unknown>}} [handover]
 */

/**
 * @typedef {{type: "joined", room: string, participant: string, session: string,
 *   ice_servers?: RTCIceServer[] | null, role: string, grants?: Grants}} Joined
 * @typedef {{type: "offer", sdp: string}} Offer
 * @typedef {{type: "candidate", candidate: RTCIceCandidateInit | null}} Candidate
 * @typedef {{type: "participants", participants: Participant[] | null,
 *   history?: Record<string, QualityPoint[]>}} Participants
 * @typedef {{type: "event", event: RoomEvent}} Happened
 * @typedef {{type: "error", code: string, message: string}} Problem
 * @typedef {{type: "leave", reason?: string}} Leave
 * @typedef {{type: "offered", call: OfferedCall}} Offered
 * @typedef {Joined | Offer | Candidate | Participants | Happened | Problem | Leave | Offered} FromServer
 */

/**
 * @typedef {{type: "join", token: string, name?: string}
 *   | {type: "resume", session: string}
 *   | {type: "answer", sdp: string}
 *   | {type: "candidate", candidate: RTCIceCandidateInit}
 *   | {type: "mute", kind: "audio" | "video", muted: boolean}
 *   | {type: "event", event: RoomEvent}
 *   | {type: "hangup", participant: string}
 *   | {type: "dtmf", call_id: string, digits: string}
 *   | {type: "accept" | "decline" | "brief", call_id: string}
 *   | {type: "heard_by", heard_by: string}
 *   | {type: "leave"}} ToServer
 */

export {};

/**
 * A call, as the API has it.
 * @typedef {{id: string, state: string, from: string, to: string, trunk?: string, created_at: string,
 *   cause?: string, reason?: string, verstat?: string, quality?: Quality}} Call
 * @typedef {{call_id: string, quality?: Quality, items: QualityPoint[]}} CallQuality
 * @typedef {{time: string, source: string, from: string, to: string, sip_code: number, reason: string, sip_call_id: string}} Refused
 */

/**
 * SIP messages as a ladder.
 * @typedef {{time: string, after: number, sent: boolean, peer: number, transport: string, label: string,
 *   again?: boolean, message: string}} TraceStep
 * @typedef {{calls: string[], peers: string[], items: TraceStep[]}} Trace
 */

/**
 * How a trunk stands, and a step of its test.
 * @typedef {{server: string, address?: string, state: string, reason?: string, rtt_ms?: number}} ServerState
 * @typedef {{name: string, registration?: string, register_error?: string, servers?: ServerState[]}} TrunkState
 * @typedef {{name: string, result: "ok" | "failed" | "skipped", words: string, hint?: string, ms: number}} TrunkStep
 */

/**
 * A call that waits in a queue, and one that we have won.
 * @typedef {{identity?: string, kind?: string, text: string}} Said
 * @typedef {{by?: string, reason?: string, summary?: string, data?: unknown, transcript?: Said[] | null}} HandedOver
 * @typedef {{call: Call & {direction: string}, position: number, waited_ms: number, priority?: string, room: string,
 *   accepted_by?: string, handover?: HandedOver, transcript?: Said[] | null}} Queued
 * @typedef {{call_id: string, room: string, token: string, url: string}} Accepted
 */
