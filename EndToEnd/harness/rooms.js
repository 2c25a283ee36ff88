// SPDX-License-Identifier: Apache-2.0
// Runs beside page.js in a blank page: one person in rooms through the SDK's RoomApi, who plays everybody and writes down what
// happens. Shared by Chromium and Firefox.
window.person = (() => {
  let connection = null;
  const stays = new Map();

  const until = (condition, what, milliseconds = 15000) => new Promise((resolve, reject) => {
    const start = performance.now();
    const look = () => {
      const value = condition();
      if (value) resolve(value);
      else if (performance.now() - start > milliseconds) reject(new Error(what() + " within " + milliseconds + " ms"));
      else setTimeout(look, 10);
    };
    look();
  });

  const stay = (name) => stays.get(name);

  async function inbound(stream) {
    const result = { frames: 0, energy: 0, audioPackets: 0, audioLost: 0, status: stream.status() };
    (await stream.getStats(undefined, true)).forEach((record) => {
      if (record.type !== "inbound-rtp") return;
      if (record.kind === "video") result.frames = record.framesDecoded ?? 0;
      else {
        result.energy = record.totalAudioEnergy ?? 0;
        result.audioPackets = record.packetsReceived;
        result.audioLost = record.packetsLost;
      }
    });
    return result;
  }

  /** Notes who is said to be the loudest: the login in the stream's name, or "-". */
  function watchLevel(entry, stream) {
    stream.on("STREAM_EVENT", ({ type, payload }) => {
      if (type === "audioLevel") entry.speakers.push(payload.loudest ? stream.name().split("-")[2] : "-");
    });
  }

  /** Resolves with the wall clock, ms, when that stream is first heard. */
  function whenHeard(entry, streamName, milliseconds = 5000) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 256;
    context.createMediaStreamSource(entry.displays.get(streamName).querySelector("video").srcObject).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const end = performance.now() + milliseconds;
    return new Promise((resolve, reject) => {
      const look = () => {
        analyser.getFloatTimeDomainData(samples);
        if (samples.some((sample) => Math.abs(sample) > 0.02)) {
          const at = Date.now();
          context.close().then(() => resolve(at));
        } else if (performance.now() > end) reject(new Error(streamName + " was not heard"));
        else setTimeout(look, 3);
      };
      look();
    });
  }

  return {
    connect(urlServer, username) {
      return new Promise((resolve, reject) => {
        connection = RoomApi.connect({ urlServer, username });
        connection.on("ESTABLISHED", () => resolve(true));
        connection.on("FAILED", () => reject(new Error(connection.getErrorInfo())));
      });
    },

    /** Joins; returns the first line heard, STATE or FAILED. With `plays`, everything that others publish is played. */
    async join(name, plays = true, record = undefined) {
      const room = connection.join({ name, record });
      const entry = { room, heard: [], played: new Map(), displays: new Map(), published: [], media: null, speakers: [] };
      stays.set(name, entry);
      const hear = (line) => entry.heard.push(line);
      const play = (stream) => {
        if (!plays) return;
        const display = lab.display();
        const played = stream.play(display);
        entry.played.set(stream.streamName(), played);
        entry.displays.set(stream.streamName(), display);
        watchLevel(entry, played);
      };
      room.on("STATE", () => {
        hear("STATE " + room.getParticipants().map((one) => one.name() + ":" + one.getStreams().length).sort().join(","));
        for (const one of room.getParticipants()) one.getStreams().forEach(play);
      })
        .on("JOINED", (one) => hear("JOINED " + one.name()))
        .on("LEFT", (one) => hear("LEFT " + one.name()))
        .on("PUBLISHED", (one, stream) => { hear("PUBLISHED " + one.name()); play(stream); })
        .on("UNPUBLISHED", (one) => hear("UNPUBLISHED " + one.name()))
        .on("MESSAGE", (message) => hear("MESSAGE " + message.from.name() + " " + message.text))
        .on("FAILED", (same, reason) => hear("FAILED " + reason));
      await until(() => entry.heard.length > 0, () => "an answer to joining " + name);
      return entry.heard[0];
    },

    /** Joins and leaves without a pause; returns what each of the stays heard once the last one has begun. */
    async rejoin(name, times) {
      const heard = [];
      for (let i = 0; i < times; i++) {
        const lines = [];
        heard.push(lines);
        const room = connection.join({ name });
        room.on("STATE", () => lines.push("STATE")).on("FAILED", (same, reason) => lines.push("FAILED " + reason));
        const left = room.leave().catch(() => {});
        // Now and then the answer is awaited, mostly not.
        if (i % 5 === 0) await left;
      }
      await person.join(name);
      return heard.flat();
    },

    heard: (name) => stay(name).heard,
    until: (name, line, milliseconds) => until(() => stay(name).heard.includes(line), () => line + " in " + JSON.stringify(stay(name).heard), milliseconds),

    async publish(name, options = {}, volume = 1, look = {}) {
      const media = lab.pattern({ width: 320, height: 180, fps: 15, ...look });
      media.setVolume(volume);
      const stream = stay(name).room.publish({ constraints: { customStream: media }, ...options });
      stay(name).published.push(stream);
      stay(name).media = media;
      watchLevel(stay(name), stream);
      await until(() => ["PUBLISHING", "FAILED"].includes(stream.status()), () => "PUBLISHING of " + name);
      return [stream.status(), stream.getInfo() ?? null, stream.name()];
    },

    /** Speaks as loud as that, for so many milliseconds or on; returns when it began, ms of the wall clock. */
    async speak(name, volume, milliseconds) {
      const start = Date.now();
      stay(name).media.setVolume(volume);
      if (milliseconds) {
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        stay(name).media.setVolume(0);
      }
      return start;
    },
    mute: (name, isMuted) => { stay(name).published[0][isMuted ? "muteAudio" : "unmuteAudio"](); },
    /** Begins to wait for sound of a stream; `heardAt` says when it came. */
    listen: (name, streamName) => { stay(name).listening = whenHeard(stay(name), streamName); },
    heardAt: (name) => stay(name).listening,
    speakers: (name) => stay(name).speakers,

    unpublish: (name, index) => { stay(name).published[index].stop(); },
    send: (name, text) => stay(name).room.sendMessage(text),
    leave: (name) => stay(name).room.leave().then(() => true, () => false),
    disconnect: () => { connection.disconnect(); },

    /** What is played: stream name → {frames, energy, status}. */
    async played(name) {
      const result = {};
      for (const [streamName, stream] of stay(name).played) result[streamName] = await inbound(stream);
      return result;
    },

    /** Plays a stream outside of any room; returns how that ended. */
    async playOutside(urlServer, streamName) {
      const session = Flashphoner.createSession({ urlServer });
      await new Promise((resolve) => session.on("ESTABLISHED", resolve));
      const stream = session.createStream({ name: streamName, display: lab.display() });
      stream.play();
      await until(() => ["PLAYING", "FAILED"].includes(stream.status()), () => "an answer to playing");
      const outcome = [stream.status(), stream.getInfo() ?? null];
      session.disconnect();
      return outcome;
    },
  };
})();
