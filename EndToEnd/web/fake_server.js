// SPDX-License-Identifier: Apache-2.0
// Put into a page before its scripts: a stand-in for the WebSocket that plays the server, with RTCPeerConnections of the same
// browser as the media side. What the SDK sends is kept in `fakeServer.frames`; `fakeServer.options` bends its behaviour.
window.fakeServer = {
  frames: [],
  sockets: [],
  streams: new Map(),
  options: {},

  sent(message) { return this.frames.filter((frame) => frame.message === message).map((frame) => frame.data[0]); },
  tell(message, ...data) { this.sockets.at(-1).deliver(message, data); },
};

window.WebSocket = class FakeWebSocket {
  static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
  readyState = 0;

  constructor(url, protocols) {
    if (!/^wss?:\/\//.test(url)) throw new SyntaxError("bad address");
    this.url = url;
    this.protocols = protocols;
    fakeServer.sockets.push(this);
    setTimeout(() => {
      if (this.readyState !== 0) return;
      if (fakeServer.options.refuse) return this.break();
      this.readyState = 1;
      this.onopen?.({});
    });
  }

  deliver(message, data) {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify({ message, data }) });
  }

  break() {
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code: 1006 });
  }

  close() {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    for (const stream of fakeServer.streams.values()) {
      if (stream.socket !== this) continue;
      stream.pc.close();
      fakeServer.streams.delete(stream.mediaSessionId);
    }
    setTimeout(() => { this.readyState = 3; this.onclose?.({ code: 1000 }); });
  }

  send(text) {
    const frame = JSON.parse(text);
    fakeServer.frames.push(frame);
    const [value] = frame.data;
    const answer = {
      connection: () => this.deliver("getUserData", [{ ...value, authToken: "t", status: "ESTABLISHED" }]),
      publishStream: () => this.publish(value),
      playStream: () => this.play(value),
      unPublishStream: () => this.end(value, "UNPUBLISHED"),
      stopStream: () => this.end(value, "STOPPED"),
      availableStream: () => {
        const found = this.published(value.name);
        this.deliver("availableStream", [{ id: value.mediaSessionId, status: String(Boolean(found)), info: found ? "" : "Stream not found" }]);
      },
      sendStreamEvent: () => {
        const from = fakeServer.streams.get(value.mediaSessionId);
        for (const stream of fakeServer.streams.values()) {
          if (stream.published || stream.name !== from.name) continue;
          stream.socket.deliver("notifyStreamEvent", [{ ...value, mediaSessionId: stream.mediaSessionId }]);
        }
      },
      snapshot: () => this.deliver("notifyStreamEvent", [{
        mediaSessionId: value.mediaSessionId,
        ...(this.published(value.name) ? { type: "snapshotCompleted", payload: { snapshot: "UE5H" } }
          : { type: "snapshotFailed", payload: { info: "Stream not found" } }),
      }]),
      sendData: () => this.deliver("DataStatusEvent", [{ operationId: value.operationId, status: fakeServer.options.data ?? "ACCEPTED" }]),
    }[frame.message];
    // The answer comes later, as from a network.
    if (answer) setTimeout(answer);
  }

  published(name) {
    return [...fakeServer.streams.values()].find((stream) => stream.published && stream.name === name && stream.live);
  }

  status(stream, status, info = "") {
    const muted = { audioState: { muted: false }, videoState: { muted: false } };
    const { mediaSessionId, name, published } = stream;
    this.deliver("notifyStreamStatusEvent", [{ mediaSessionId, name, published, status, info, ...muted }]);
  }

  async publish(stream) {
    if (fakeServer.options.silent) return;
    if (this.published(stream.name)) return this.status(stream, "FAILED", "Stream name is already in use");
    await this.answer(stream, () => "PUBLISHING", () => {});
  }

  async play(stream) {
    if (fakeServer.options.silent) return;
    const source = this.published(stream.name);
    if (!source) return this.status(stream, "FAILED", "Session does not exist");
    await this.answer(stream, () => "PLAYING", (pc) => {
      for (const transceiver of pc.getTransceivers()) {
        const track = source.pc.getReceivers().map((receiver) => receiver.track)
          .find((track) => track.kind === transceiver.receiver.track.kind);
        if (!track) continue;
        transceiver.direction = "sendonly";
        transceiver.sender.replaceTrack(track);
      }
    });
  }

  async answer(stream, statusWhenConnected, prepare) {
    const pc = new RTCPeerConnection();
    fakeServer.streams.set(stream.mediaSessionId, { ...stream, pc, socket: this });
    pc.onconnectionstatechange = () => {
      if (pc.connectionState !== "connected") return;
      const entry = fakeServer.streams.get(stream.mediaSessionId);
      if (!entry) return;
      entry.live = true;
      this.status(stream, statusWhenConnected());
    };
    await pc.setRemoteDescription({ type: "offer", sdp: stream.sdp });
    prepare(pc);
    await pc.setLocalDescription(await pc.createAnswer());
    await new Promise((resolve) => {
      if (pc.iceGatheringState === "complete") return resolve();
      pc.onicegatheringstatechange = () => { if (pc.iceGatheringState === "complete") resolve(); };
    });
    const sdp = fakeServer.options.badAnswer ? "v=0\r\nnonsense" : pc.localDescription.sdp;
    this.deliver("setRemoteSDP", [stream.mediaSessionId, sdp, true]);
  }

  end({ mediaSessionId }, status) {
    const stream = fakeServer.streams.get(mediaSessionId);
    fakeServer.streams.delete(mediaSessionId);
    stream?.pc.close();
    if (fakeServer.options.silentStop) return;
    this.status(stream ?? { mediaSessionId }, status, "Stopped by user");
    if (!stream?.published) return;
    for (const other of fakeServer.streams.values()) {
      if (other.name !== stream.name) continue;
      other.pc.close();
      fakeServer.streams.delete(other.mediaSessionId);
      other.socket.status(other, "FAILED", "Stopped by publisher stop");
    }
  }
};
