// Runs before the room page: notes which track came from whom, and writes down
// what is heard and said, block by block, with the time of each. The page does
// not know of it.
(() => {
  const ear = (window.ear = { tracks: new Map(), microphone: null, pcs: [], kept: new Map(), plain: PLAIN });

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      ear.pcs.push(this);
      this.addEventListener("track", ({ track, streams }) => streams[0] && ear.tracks.set(`${track.kind} ${streams[0].id}`, track));
    }
  };

  // Noise suppression takes a steady tone for noise: tests with tones go without.
  const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const devices = navigator.mediaDevices;
  const ask = devices?.getUserMedia.bind(devices);
  if (ask) devices.getUserMedia = async (wish) => {
    const stream = await ask(ear.plain && wish.audio ? { ...wish, audio: { ...wish.audio, ...raw } } : wish);
    ear.microphone = stream.getAudioTracks()[0] ?? ear.microphone;
    return stream;
  };

  /** Whether the page plays the sound of a participant to its user. */
  ear.plays = (who) => {
    const track = ear.tracks.get(`audio ${who}`);
    return track?.readyState === "live" && [...document.querySelectorAll("audio")].some((a) => !a.paused && a.srcObject?.getTracks().includes(track));
  };

  // A track has one reader as long as it lives; recordings come and go.
  const readers = new Map();
  const read = async (track, state) => {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return readers.delete(track);
      if (state.record) note(state.record, value, performance.timeOrigin + performance.now());
      value.close();
    }
  };
  const note = (r, value, now) => {
    const block = new Float32Array(value.numberOfFrames);
    value.copyTo(block, { planeIndex: 0, format: "f32-planar" });
    r.rate = value.sampleRate;
    r.at.push([r.frames, block.length, now]);
    r.frames += block.length;
    r.blocks.push(Int16Array.from(block, (x) => Math.round(x * 32767)));
  };
  const record = (name, track) => {
    const r = { rate: 0, blocks: [], at: [], frames: 0 };
    ear.kept.set(name, r);
    if (!readers.has(track)) {
      readers.set(track, { record: r });
      read(track, readers.get(track));
    } else readers.get(track).record = r;
  };
  ear.listen = (who) => record(who, ear.tracks.get(`audio ${who}`));
  ear.listenToUs = () => record("us", ear.microphone);
  ear.seconds = (name) => { const r = ear.kept.get(name); return r?.rate ? r.frames / r.rate : 0; };

  /** What the browser's jitter buffer holds back now, in ms: of the stream that came last. */
  ear.buffered = async () => {
    let newest = { lastPacketReceivedTimestamp: 0, jitterBufferDelay: 0, jitterBufferEmittedCount: 1 };
    for (const s of (await ear.pcs.at(-1).getStats()).values()) {
      if (s.type === "inbound-rtp" && s.kind === "audio" && s.lastPacketReceivedTimestamp > newest.lastPacketReceivedTimestamp) newest = s;
    }
    return (1000 * newest.jitterBufferDelay) / newest.jitterBufferEmittedCount;
  };

  /** What was written down: the sound as base64 of 16-bit samples. */
  ear.told = (name) => {
    const r = ear.kept.get(name);
    for (const state of readers.values()) if (state.record === r) state.record = null;
    ear.kept.delete(name);
    const all = new Int16Array(r.frames);
    r.blocks.reduce((at, block) => (all.set(block, at), at + block.length), 0);
    const bytes = new Uint8Array(all.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return JSON.stringify({ rate: r.rate, at: r.at, pcm: btoa(text) });
  };
})();
