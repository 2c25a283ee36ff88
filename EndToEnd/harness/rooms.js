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
    const result = { frames: 0, energy: 0, status: stream.status() };
    (await stream.getStats(undefined, true)).forEach((record) => {
      if (record.type !== "inbound-rtp") return;
      if (record.kind === "video") result.frames = record.framesDecoded ?? 0;
      else result.energy = record.totalAudioEnergy ?? 0;
    });
    return result;
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
    async join(name, plays = true) {
      const room = connection.join({ name });
      const entry = { room, heard: [], played: new Map(), published: [] };
      stays.set(name, entry);
      const hear = (line) => entry.heard.push(line);
      const play = (stream) => { if (plays) entry.played.set(stream.streamName(), stream.play(lab.display())); };
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

    async publish(name, options = {}) {
      const stream = stay(name).room.publish({ constraints: { customStream: lab.pattern({ width: 320, height: 180, fps: 15 }) }, ...options });
      stay(name).published.push(stream);
      await until(() => ["PUBLISHING", "FAILED"].includes(stream.status()), () => "PUBLISHING of " + name);
      return [stream.status(), stream.getInfo() ?? null, stream.name()];
    },

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
