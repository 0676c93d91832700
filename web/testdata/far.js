// The far end of a call, inside the page under test: a second
// RTCPeerConnection that offers as the gateway does.
(() => {
  const far = { pc: null, channel: null, heard: [], context: null };

  // A tone that comes and goes like syllables, as a track.
  const tone = (hz) => {
    far.context ??= new AudioContext();
    const from = far.context.createOscillator();
    const to = far.context.createMediaStreamDestination();
    const gain = far.context.createGain();
    from.frequency.value = hz;
    const speak = () => {
      const now = far.context.currentTime;
      const pause = Math.random() < 0.12;
      gain.gain.setTargetAtTime(pause ? 0 : 0.02 + 0.25 * Math.random() ** 2, now, 0.03);
      setTimeout(speak, pause ? 500 : 60 + 160 * Math.random());
    };
    speak();
    from.connect(gain).connect(to);
    from.start();
    return to.stream.getAudioTracks()[0];
  };

  // A moving picture as a track: dusk over hills, with a light that crosses it.
  const picture = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 640;
    canvas.height = 400;
    const pen = canvas.getContext("2d");
    let n = 0;
    setInterval(() => {
      n++;
      const sky = pen.createLinearGradient(0, 0, 0, 400);
      sky.addColorStop(0, "#27445c");
      sky.addColorStop(0.7, "#c98d6a");
      pen.fillStyle = sky;
      pen.fillRect(0, 0, 640, 400);
      pen.fillStyle = "#f6dfb4";
      pen.beginPath();
      pen.arc((n * 2) % 720 - 40, 220, 26, 0, 7);
      pen.fill();
      ["#3d4a4a", "#26302f", "#141b1a"].forEach((ink, k) => {
        pen.fillStyle = ink;
        pen.beginPath();
        pen.moveTo(0, 400);
        for (let x = 0; x <= 640; x += 16) pen.lineTo(x, 270 + k * 38 + 26 * Math.sin(x / (90 - k * 18) + k * 2));
        pen.lineTo(640, 400);
        pen.fill();
      });
    }, 40);
    return canvas.captureStream(25).getVideoTracks()[0];
  };

  // tracks: [{participant, kind}]; gives the SDP of the offer.
  far.offer = async (tracks) => {
    far.pc?.close();
    const pc = (far.pc = new RTCPeerConnection());
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.addTransceiver("video", { direction: "recvonly" });
    pc.ontrack = ({ track }) => {
      const sink = Object.assign(new Audio(), { srcObject: new MediaStream([track]) }); // else nothing is decoded
      if (track.kind === "audio") sink.play();
    };
    far.channel = pc.createDataChannel("events");
    far.channel.onmessage = ({ data }) => far.heard.push(JSON.parse(data));
    const ids = new Map();
    tracks.forEach(({ participant, kind }, i) => {
      const stream = new MediaStream();
      pc.addTransceiver(kind === "audio" ? tone(330 + 110 * i) : picture(), { direction: "sendonly", streams: [stream] });
      ids.set(stream.id, participant);
    });
    await pc.setLocalDescription();
    await new Promise((done) => {
      pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
      if (pc.iceGatheringState === "complete") done();
    });
    let sdp = pc.localDescription.sdp;
    for (const [stream, participant] of ids) sdp = sdp.replaceAll(stream, participant);
    return sdp;
  };

  far.answered = (sdp) => far.pc.setRemoteDescription({ type: "answer", sdp });

  // What arrives here: {audio: level, video: frames decoded}.
  far.receives = async () => {
    const seen = { audio: 0, video: 0 };
    for (const s of (await far.pc.getStats()).values()) {
      if (s.type !== "inbound-rtp") continue;
      if (s.kind === "audio") seen.audio = s.audioLevel ?? 0;
      else seen.video = s.framesDecoded ?? 0;
    }
    return seen;
  };

  window.far = far;
})();
