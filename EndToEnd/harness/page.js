// SPDX-License-Identifier: Apache-2.0
// Runs in a blank page beside the SDK (/flashphoner.js): publishes and plays through it, and looks at what arrives. Shared by
// Chromium and Firefox. Streams are kept under keys, so that Python can name them.
window.lab = (() => {
  const { SESSION_STATUS, STREAM_STATUS, STREAM_EVENT } = Flashphoner.constants;
  const streams = new Map();
  const sessions = new Map();
  const ENDS = [STREAM_STATUS.FAILED, STREAM_STATUS.UNPUBLISHED, STREAM_STATUS.STOPPED];
  let count = 0;
  Flashphoner.init();

  const within = (promise, milliseconds, what) => Promise.race([
    promise, new Promise((_, reject) => setTimeout(() => reject(new Error(what + " took longer than " + milliseconds + " ms")), milliseconds)),
  ]);

  /** From now on answers name other UDP ports, and no others: `ports` maps those of the server to those of a relay. */
  function reroute(ports) {
    const original = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (description, ...rest) {
      const lines = description.sdp.split("\r\n").map((line) => {
        const found = /^(a=candidate:\S+ \d udp \d+ )(\S+) (\d+)( typ host.*)$/.exec(line);
        if (!found) return line.startsWith("a=candidate:") ? null : line;
        // The relay speaks IPv4 and is on the server's machine.
        return found[3] in ports && !found[2].includes(":") ? found[1] + found[2] + " " + ports[found[3]] + found[4] : null;
      });
      return original.call(this, { type: description.type, sdp: lines.filter((line) => line !== null).join("\r\n") }, ...rest);
    };
  }

  function session(url, options = {}) {
    if (sessions.has(url) && sessions.get(url).status() === SESSION_STATUS.ESTABLISHED) return Promise.resolve(sessions.get(url));
    return within(new Promise((resolve, reject) => {
      const made = Flashphoner.createSession({ urlServer: url, ...options });
      made.on(SESSION_STATUS.ESTABLISHED, () => { sessions.set(url, made); resolve(made); });
      made.on(SESSION_STATUS.FAILED, () => reject(new Error("session: " + made.getErrorInfo())));
      made.on(SESSION_STATUS.DISCONNECTED, () => reject(new Error("session: " + made.getErrorInfo())));
    }), 10000, "the session");
  }

  function keep(stream, display) {
    const key = "s" + ++count;
    const entry = { key, stream, display, events: [], statuses: [], changed: [] };
    streams.set(key, entry);
    for (const status of Object.values(STREAM_STATUS)) {
      stream.on(status, () => {
        entry.statuses.push({ status, info: stream.getInfo() ?? null, error: stream.getErrorInfo() ?? null, at: performance.now() });
        entry.changed.forEach((call) => call());
      });
    }
    stream.on(STREAM_EVENT, (event) => entry.events.push(event));
    return entry;
  }

  function reached(entry, names, milliseconds) {
    const find = () => entry.statuses.find(({ status }) => names.includes(status));
    return within(new Promise((resolve) => {
      const look = () => { const found = find(); if (found) resolve(found); };
      entry.changed.push(look);
      look();
    }), milliseconds, "status " + names.join(" or ") + " of " + entry.stream.name());
  }

  function element(entry) {
    const video = entry.display.querySelector("video");
    return video;
  }

  function display() {
    const place = document.createElement("div");
    place.style.cssText = "display:inline-block;width:160px;height:120px;overflow:hidden";
    document.body.append(place);
    return place;
  }

  // A picture with the burnt-in clock of docs/test-pattern.md and moving colours, and a tone: what publishers of the tests show.
  function crc8(value) {
    let crc = 0xff;
    for (let shift = 24; shift >= 0; shift -= 8) {
      crc ^= (value >>> shift) & 0xff;
      for (let i = 0; i < 8; i++) crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
    }
    return crc;
  }
  const rowBits = (value, row) => row === 0
    ? ((0b1010 << 20) | ((value >>> 16) << 4) | (crc8(value) >>> 4)) >>> 0
    : ((0b0101 << 20) | ((value & 0xffff) << 4) | (crc8(value) & 0x0f)) >>> 0;
  const clockNow = () => Math.floor(performance.timeOrigin + performance.now()) % 4294967296;

  // Beeps as they leave the page, by the burnt-in clock: what a sound card's or a busy browser's clock does to the tone before is no fault of
  // whoever takes it. Returns a function that tells the times so far. Sound comes in pieces that are noted late, never early, so the least
  // of those around counts.
  function beepWatch(track) {
    const pieces = [], beeps = [];
    let samples = 0, silence = 0, behind = Infinity;
    (async () => {
      const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
      for (;;) {
        const { value: data, done } = await reader.read();
        if (done) return;
        const rate = data.sampleRate / 1000, at = data.timestamp / 1000;
        behind = Math.min(behind, clockNow() - at);
        pieces.push([samples / rate, at - samples / rate]);
        const plane = new Float32Array(data.numberOfFrames);
        data.copyTo(plane, { planeIndex: 0, format: "f32-planar" });
        data.close();
        plane.forEach((value, index) => {
          const loud = Math.abs(value) > 0.25;
          if (loud && silence > 500 * rate) beeps.push((samples + index) / rate);
          silence = loud ? 0 : silence + 1;
        });
        samples += plane.length;
      }
    })();
    return () => beeps.map((beep) => {
      const near = pieces.filter(([position]) => Math.abs(position - beep) < 300).map(([, origin]) => origin);
      return near.reduce((least, origin) => Math.min(least, origin), Infinity) + behind + beep;
    });
  }

  function pattern({ width = 320, height = 240, fps = 20, noise = false, flash = false, tone: hertz = 440 } = {}) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { alpha: false });
    const media = canvas.captureStream(0);
    const track = media.getVideoTracks()[0];
    let n = 0;
    const audio = new AudioContext();
    const draw = () => {
      n += 1;
      context.fillStyle = `hsl(${n * 7 % 360} 60% 45%)`;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "#fff";
      context.fillRect(n * 5 % width, height / 2, 30, 30);
      // What no encoder can predict: the stream takes all of its bitrate.
      for (let i = 0; noise && i < 400; i++) {
        context.fillStyle = `hsl(${Math.random() * 360} 70% ${Math.random() * 90}%)`;
        context.fillRect(Math.random() * width, height / 8 + Math.random() * height, 24, 24);
      }
      const value = clockNow();
      for (let row = 0; row < 2; row++) {
        const bits = rowBits(value, row);
        const top = Math.floor(row * height / 18), bottom = Math.floor((row + 1) * height / 18);
        for (let column = 0; column < 24; column++) {
          const left = Math.floor(column * width / 24), right = Math.floor((column + 1) * width / 24);
          context.fillStyle = (bits >>> (23 - column)) & 1 ? "#fff" : "#000";
          context.fillRect(left, top, right - left, bottom - top);
        }
      }
      // As in the pattern of `martlet publish`: a flash at each full second, with the beep below.
      if (flash) {
        context.fillStyle = audio.currentTime % 1 < 0.1 ? "#fff" : "#000";
        context.fillRect(0, Math.floor(height * 15 / 16), width / 4, height);
      }
      (track.requestFrame ? track : media).requestFrame();
    };
    // A worker's timer keeps its pace in pages that nobody looks at.
    const worker = new Worker(URL.createObjectURL(new Blob([`setInterval(() => postMessage(0), ${flash ? 4 : 1000 / fps})`])));
    // A flash belongs to its beep: pictures keep step with the clock of the sound.
    let drawn = -1;
    // Chromium holds the timestamps of a track's pictures against how long the first ones took, for good. Those of a flash wait until the
    // connection is made and the page has nothing else to do.
    media.isHeld = flash;
    worker.onmessage = () => {
      if (media.isHeld) return;
      const due = Math.floor(audio.currentTime * fps);
      if (flash && due === drawn) return;
      drawn = due;
      draw();
    };
    if (!flash) draw();
    const tone = audio.createOscillator();
    const out = audio.createMediaStreamDestination();
    const gain = audio.createGain();
    tone.frequency.value = flash ? 1000 : hertz;
    if (flash) {
      gain.gain.value = 0;
      for (let second = 1; second < 300; second++) {
        gain.gain.setValueAtTime(0.6, second);
        gain.gain.setValueAtTime(0, second + 0.05);
      }
    }
    tone.connect(gain).connect(out);
    tone.start();
    media.addTrack(out.stream.getAudioTracks()[0]);
    if (flash && window.MediaStreamTrackProcessor) media.beepTimes = beepWatch(out.stream.getAudioTracks()[0].clone());
    /** 1 is as loud as can be, 0 silence. */
    media.setVolume = (volume) => gain.gain.setValueAtTime(volume, audio.currentTime);
    return media;
  }

  /** The burnt-in clock in the current picture of a video element, or null. */
  function readClock(video) {
    const width = video.videoWidth, height = video.videoHeight;
    if (!width) return null;
    const strip = Math.ceil(2 * height / 18);
    const canvas = readClock.canvas ??= document.createElement("canvas");
    canvas.width = width;
    canvas.height = strip;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, width, strip, 0, 0, width, strip);
    const pixels = context.getImageData(0, 0, width, strip).data;
    const middle = (index, of, length) => {
      const from = Math.floor((4 * index + 1) * length / (4 * of));
      return [from, Math.max(from + 1, Math.floor((4 * index + 3) * length / (4 * of)))];
    };
    const levels = [];
    for (let row = 0; row < 2; row++) {
      const [top, bottom] = middle(row, 18, height);
      for (let column = 0; column < 24; column++) {
        const [left, right] = middle(column, 24, width);
        let sum = 0;
        for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += pixels[4 * (y * width + x) + 1];
        levels.push(sum / ((bottom - top) * (right - left)));
      }
    }
    const white = (levels[0] + levels[2] + levels[25] + levels[27]) / 4;
    const black = (levels[1] + levels[3] + levels[24] + levels[26]) / 4;
    if (white - black < 48) return null;
    const word = (row) => levels.slice(24 * row, 24 * row + 24).reduce((bits, level) => bits * 2 + (level > (white + black) / 2 ? 1 : 0), 0);
    const [first, second] = [word(0), word(1)];
    if (first >>> 20 !== 0b1010 || second >>> 20 !== 0b0101) return null;
    const value = (((first >>> 4) & 0xffff) * 65536 + ((second >>> 4) & 0xffff)) >>> 0;
    return crc8(value) === (((first & 0x0f) << 4) | (second & 0x0f)) ? value : null;
  }

  /** A number that changes when the picture does. */
  function pictureHash(video) {
    const canvas = document.createElement("canvas");
    canvas.width = 64;
    canvas.height = 48;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 48);
    let hash = 0;
    for (const byte of context.getImageData(0, 0, 64, 48).data) hash = (hash * 31 + byte) | 0;
    return hash;
  }

  async function figures(key) {
    const { stream } = streams.get(key);
    const report = await stream.getStats(undefined, true);
    const result = { audio: {}, video: {}, status: stream.status() };
    report.forEach((record) => {
      if (record.type !== "inbound-rtp" && record.type !== "outbound-rtp") return;
      const kind = record.kind;
      if (result[kind].active && !(record.framesEncoded > 0)) return;
      result[kind] = JSON.parse(JSON.stringify(record));
      result[kind].active = true;
      result[kind].codec = report.get(record.codecId)?.mimeType?.split("/")[1] ?? null;
    });
    report.forEach((record) => {
      if (record.type === "media-source" && record.kind === "audio") result.audio.sourceEnergy = record.totalAudioEnergy;
    });
    // The way that is in use: "udp" or "tcp", and the other side's address.
    const transport = [...report.values()].find((record) => record.type === "transport" && record.selectedCandidatePairId);
    const pair = report.get(transport?.selectedCandidatePairId)
      ?? [...report.values()].find((record) => record.type === "candidate-pair" && (record.selected || (record.nominated && record.state === "succeeded")));
    const far = report.get(pair?.remoteCandidateId);
    result.way = far ? { protocol: far.protocol, address: far.address ?? far.ip, port: far.port } : null;
    const video = streams.get(key).display.querySelector("video");
    result.size = video ? [video.videoWidth, video.videoHeight] : null;
    return result;
  }

  return {
    streams,
    display,
    pattern,
    clockNow,

    /** Publishes the camera (or, with `pattern`, drawn pictures with the clock) and returns the key once it is PUBLISHING. */
    async publish(url, name, { pattern: drawn, timeout = 15000, ...options } = {}) {
      const place = display();
      const opened = await session(url);
      const picture = drawn && pattern(drawn);
      const constraints = drawn ? { ...options.constraints, customStream: picture } : options.constraints ?? { audio: true, video: { width: 320, height: 240 } };
      const entry = keep(opened.createStream({ name, display: place, ...options, constraints }), place);
      entry.pattern = picture;
      entry.stream.publish();
      const { status, info, error } = await reached(entry, [STREAM_STATUS.PUBLISHING, ...ENDS], timeout);
      if (status !== STREAM_STATUS.PUBLISHING) throw new Error(`publish ${name}: ${status} ${info ?? ""} ${error ?? ""}`);
      if (picture) picture.isHeld = false;
      return entry.key;
    },

    /** Plays and returns the key once it is PLAYING. `first`: ms from the request to the first decoded frame, once known. */
    async play(url, name, { timeout = 15000, ...options } = {}) {
      const place = display();
      const opened = await session(url);
      const entry = keep(opened.createStream({ name, display: place, ...options }), place);
      const start = performance.now();
      entry.stream.on(STREAM_STATUS.PENDING, () => {
        const video = element(entry);
        if (video?.requestVideoFrameCallback) video.requestVideoFrameCallback(() => { entry.first = performance.now() - start; });
      });
      entry.stream.play();
      const { status, info, error, at } = await reached(entry, [STREAM_STATUS.PLAYING, ...ENDS], timeout);
      if (status !== STREAM_STATUS.PLAYING) throw new Error(`play ${name}: ${status} ${info ?? ""} ${error ?? ""}`);
      entry.playing = at - start;
      return entry.key;
    },

    /** Asks for a stop and returns the terminal status. */
    async stop(key, timeout = 10000) {
      const entry = streams.get(key);
      entry.stream.stop();
      const { status } = await reached(entry, ENDS, timeout);
      entry.display.remove();
      streams.delete(key);
      return status;
    },

    async ended(key, timeout = 10000) { return reached(streams.get(key), ENDS, timeout); },
    statuses: (key) => streams.get(key).statuses,
    events: (key) => streams.get(key).events,
    state: (key) => ({ audio: streams.get(key).stream.getAudioState(), video: streams.get(key).stream.getVideoState() }),
    act: (key, method, ...values) => { streams.get(key).stream[method](...values); },
    figures,
    reroute,
    /** Of a published pattern with a flash: when its beeps left the page, by the burnt-in clock. */
    beepTimes: (key) => streams.get(key).pattern.beepTimes(),
    first: (key) => streams.get(key).first ?? null,
    hash: (key) => pictureHash(element(streams.get(key))),
    clock: (key) => readClock(element(streams.get(key))),

    /** Frames decoded by every played stream. */
    async decoded(keys) {
      const all = await Promise.all(keys.map(figures));
      return all.map(({ video }) => video.framesDecoded ?? 0);
    },

    /**
     * Reads the clock of every new frame of a played stream for a while: [[clock, wall time it was shown], …], milliseconds.
     */
    async readings(key, milliseconds) {
      const video = element(streams.get(key));
      const seen = [];
      let wanted = true;
      const each = (now) => {
        const clock = readClock(video);
        if (clock !== null) seen.push([clock, (performance.timeOrigin + now) % 4294967296]);
        if (wanted) video.requestVideoFrameCallback(each);
      };
      video.requestVideoFrameCallback(each);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      wanted = false;
      return seen;
    },

    /** Milliseconds by which flashes of a played stream come after their beeps (pattern with `flash`), watched for a while. */
    async offsets(key, milliseconds) {
      const video = element(streams.get(key));
      const context = new AudioContext({ sampleRate: 48000 });
      await context.resume();
      const source = context.createMediaStreamSource(video.srcObject);
      // Blocks of 256 samples with the time of their end on the page's clock.
      const recorder = context.createScriptProcessor(256, 1, 1);
      const beeps = [], flashes = [];
      let isLoud = 0, wasBright = null, wanted = true;
      recorder.onaudioprocess = ({ inputBuffer }) => {
        const samples = inputBuffer.getChannelData(0);
        const first = samples.findIndex((sample) => Math.abs(sample) > 0.1);
        if (first >= 0 && isLoud <= 0) beeps.push(performance.now() - (256 - first) / 48);
        isLoud = first >= 0 ? 90 : isLoud - 1;
      };
      source.connect(recorder);
      recorder.connect(context.destination);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 4;
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      const look = (now, { expectedDisplayTime }) => {
        pen.drawImage(video, 0, video.videoHeight * 15.2 / 16, video.videoWidth / 5, video.videoHeight * 0.6 / 16, 0, 0, 4, 4);
        const isBright = pen.getImageData(1, 1, 1, 1).data[1] > 128;
        if (isBright && wasBright === false) flashes.push(expectedDisplayTime);
        wasBright = isBright;
        if (wanted) video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      wanted = false;
      await context.close();
      return beeps.map((beep) => flashes.map((flash) => flash - beep).sort((a, b) => Math.abs(a) - Math.abs(b))[0])
        .filter((offset) => offset !== undefined && Math.abs(offset) < 400);
    },

    /** The longest time in which no new frame of a played stream was decoded, watched for a while, ms. */
    async longestGap(key, milliseconds) {
      const video = element(streams.get(key));
      let longest = 0, last = performance.now(), wanted = true, count = 0;
      const end = last + milliseconds;
      while (performance.now() < end) {
        const now = performance.now(), frames = video.getVideoPlaybackQuality().totalVideoFrames;
        if (frames !== count) { count = frames; last = now; }
        longest = Math.max(longest, now - last);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return longest;
    },

    async available(url, name) {
      const stream = (await session(url)).createStream({ name });
      return stream.available().then(() => [true, null], (failed) => [false, failed.getInfo() ?? null]);
    },

    disconnect(url) { sessions.get(url).disconnect(); sessions.delete(url); },
  };
})();
