// SPDX-License-Identifier: Apache-2.0
// One published, played, asked-for or photographed stream: its life as the server tells it, and what a page may do with it.
// Made by Session.createStream; gets its wire messages from the session that owns it.
import { CONNECTION_QUALITY, ERROR_INFO, STREAM_EVENT, STREAM_EVENT_TYPE, STREAM_STATUS, TERMINAL_STATUSES } from "./constants.js";
import { Availability } from "./availability.js";
import { Callbacks, createUUID } from "./events.js";
import { toggleFullScreen } from "./display.js";
import { Peer } from "./peer.js";
import { Playback } from "./playback.js";
import { LocalSource } from "./source.js";
import { QualityMeter, summarize, videoBytes } from "./stats.js";

// A stop asked for before the server said anything goes out after this long, milliseconds.
const STOP_WITHOUT_STATUS = 10_000;
// The server gets this long to confirm a stop; a recording has to be finished first.
const STOP_CONFIRMATION = 5_000;
const STOP_CONFIRMATION_RECORDING = 60_000;
// After the browser gave up on the media connection the server gets this long to give the reason.
const MEDIA_FAILURE_GRACE = 8_000;

const RUNNING = [STREAM_STATUS.PUBLISHING, STREAM_STATUS.PLAYING, STREAM_STATUS.PAUSED, STREAM_STATUS.PLAYBACK_PROBLEM];
// Statuses that report something without changing the state of the stream.
const PASSING = [STREAM_STATUS.RESIZE, STREAM_STATUS.SNAPSHOT_COMPLETE, STREAM_STATUS.NOT_ENOUGH_BANDWIDTH];

export class Stream {
  #session;
  #options;
  #id = createUUID();
  #callbacks = new Callbacks();
  #status = STREAM_STATUS.NEW;
  #published;
  #info;
  #errorInfo;
  #peer = null;
  #source = null;
  #playback = null;
  #isRequested = false;
  #stopState = "none"; // none → wanted → sent
  #timer = null;
  #resolution = {};
  #bandwidth = { bitrate: 0, network: 0 };
  #audioState;
  #videoState;
  #recordName;
  #availability = new Availability();
  #snapshotAwaited = false;
  #meter = new QualityMeter();

  /** @param session what the session lends: send, release, isEstablished, mediaOptions, constraints, logger. */
  constructor(session, options) {
    if (!options?.name) throw new TypeError(ERROR_INFO.OPTIONS_NAME_MISSED);
    this.#session = session;
    this.#options = options;
  }

  // What a page can ask.

  id() { return this.#id; }
  name() { return this.#options.name; }
  status() { return this.#status; }
  published() { return this.#published; }
  getInfo() { return this.#info; }
  getErrorInfo() { return this.#errorInfo; }
  getRecordInfo() { return this.#recordName; }
  getAudioState() { return this.#audioState; }
  getVideoState() { return this.#videoState; }
  getRemoteBitrate() { return this.#bandwidth.bitrate; }
  getNetworkBandwidth() { return this.#bandwidth.network; }
  hasAudio() { return this.#source ? this.#source.has("audio") : this.#wants("audio"); }
  hasVideo() { return this.#source ? this.#source.has("video") : this.#wants("video"); }
  getLogger() { return this.#session.logger; }

  /** Size of the played picture as the server or the browser knows it; empty for other streams. */
  videoResolution() {
    const element = this.#playback?.element;
    if (this.#resolution.width || !element?.videoWidth) return { ...this.#resolution };
    return { width: element.videoWidth, height: element.videoHeight };
  }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  // Publish, play, stop.

  publish() {
    this.#begin(true);
    const constraints = this.#options.constraints ?? this.#session.constraints ?? { audio: true, video: true };
    this.#source = new LocalSource(this.#options, constraints, () => this.stop());
    this.#publish(constraints).catch((error) => this.#failHere(error.message));
  }

  async #publish(constraints) {
    await this.#source.open(this.#id);
    if (this.#abandoned()) return;
    const peer = this.#openPeer();
    peer.sendTracks(this.#source.media);
    const sdp = await peer.offer({ strip: this.#options.stripCodecs, hook: this.#options.sdpHook });
    if (this.#abandoned()) return;
    this.#request("publishStream", {
      hasVideo: this.#source.has("video"),
      hasAudio: this.#source.has("audio"),
      record: Boolean(this.#options.record),
      sdp,
      ...this.#rates(constraints.video),
      rtmpUrl: this.#options.rtmpUrl,
      constraints: constraints.customStream ? undefined : this.#options.constraints,
    });
  }

  play() {
    this.#begin(false);
    this.#playback = new Playback(this.#options, this.#id, (how) => this.#tellHindered(how));
    this.#play().catch((error) => this.#failHere(error.message));
  }

  async #play() {
    const kinds = ["audio", "video"].filter((kind) => this.#wants(kind));
    if (kinds.length === 0) throw new Error("Neither audio nor video was asked for, so there is nothing to play.");
    const peer = this.#openPeer();
    peer.receive(kinds);
    // Pages expect play() to have returned before any callback.
    await null;
    if (!this.#isOver) this.#callbacks.call(STREAM_STATUS.PENDING, this);
    if (this.#abandoned()) return;
    const { audio, video } = this.#options.constraints ?? {};
    const sdp = await peer.offer({ stereo: audio?.stereo, strip: this.#options.stripCodecs, hook: this.#options.sdpHook });
    if (this.#abandoned()) return;
    this.#request("playStream", {
      hasVideo: true,
      hasAudio: true,
      record: false,
      sdp,
      width: this.#options.playWidth ?? video?.width ?? 0,
      height: this.#options.playHeight ?? video?.height ?? 0,
      quality: this.#options.quality ?? video?.quality ?? 0,
      ...this.#rates(video),
      constraints: this.#options.constraints,
    });
  }

  /** Ends the stream. UNPUBLISHED or STOPPED follows when the server has confirmed. */
  stop() {
    if (this.#isOver || this.#stopState !== "none") return;
    if (this.#status === STREAM_STATUS.NEW) return this.#end(STREAM_STATUS.STOPPED);
    if (RUNNING.includes(this.#status)) return this.#sendStop();
    this.#stopState = "wanted";
    // Not answered yet: the server knows the stream only after its first status, so the stop waits for that.
    if (this.#isRequested) this.#after(STOP_WITHOUT_STATUS, () => this.#sendStop());
    // Not even asked: nobody has to confirm, and a question of the browser to its user may stand open for long.
    else Promise.resolve().then(() => this.#abandoned());
  }

  // Sound, picture, devices.

  muteAudio() { this.#setSending("audio", false, STREAM_EVENT_TYPE.AUDIO_MUTED); }
  unmuteAudio() { this.#setSending("audio", true, STREAM_EVENT_TYPE.AUDIO_UNMUTED); }
  muteVideo() { this.#setSending("video", false, STREAM_EVENT_TYPE.VIDEO_MUTED); }
  unmuteVideo() { this.#setSending("video", true, STREAM_EVENT_TYPE.VIDEO_UNMUTED); }
  isAudioMuted() { return !this.#source?.isSending("audio"); }
  isVideoMuted() { return !this.#source?.isSending("video"); }
  muteRemoteAudio() { if (this.#playback) this.#playback.isMuted = true; }
  unmuteRemoteAudio() { if (this.#playback) this.#playback.isMuted = false; }
  isRemoteAudioMuted() { return this.#playback ? this.#playback.isMuted : true; }
  /** @param volume 0–100 */
  setVolume(volume) { if (this.#playback) this.#playback.volume = volume; }
  getVolume() { return this.#playback ? this.#playback.volume : 0; }
  setMicrophoneGain(volume) { return this.#source && this.#peer ? this.#source.setGain(this.#peer, volume) : Promise.resolve(); }
  switchCam(deviceId) { return this.#switch(ERROR_INFO.CAN_NOT_SWITCH_CAM, (source, peer) => source.switchCamera(peer, deviceId)); }
  switchMic(deviceId) { return this.#switch(ERROR_INFO.CAN_NOT_SWITCH_MIC, (source, peer) => source.switchMicrophone(peer, deviceId)); }
  switchToScreen() { return this.#switch(ERROR_INFO.CAN_NOT_SWITCH_CAM, (source, peer) => source.switchToScreen(peer)); }
  switchToCam() { return this.#switch(ERROR_INFO.CAN_NOT_SWITCH_CAM, (source, peer) => source.switchToCamera(peer)); }

  setAudioOutputId(deviceId) {
    const element = this.#playback?.element;
    if (!element?.setSinkId) return Promise.reject(new Error("This browser can't choose where sound comes out."));
    return element.setSinkId(deviceId);
  }

  fullScreen() {
    const element = this.#playback?.element ?? this.#source?.element;
    if (element) toggleFullScreen(element);
  }

  // Questions to the server.

  /** Resolves with the stream when someone publishes it; rejects with the stream otherwise, the reason in getInfo(). */
  available() {
    const answer = this.#availability.ask(() => this.#settleAvailability(false, "The server gave no answer"));
    if (this.#session.isEstablished) this.#session.send("availableStream", { mediaSessionId: this.#id, name: this.name() });
    else this.#settleAvailability(false, ERROR_INFO.INVALID_SESSION_STATE);
    return answer;
  }

  /** Asks for a picture; it comes as STREAM_EVENT snapshotCompleted and as STREAM_STATUS.SNAPSHOT_COMPLETE with getInfo(). */
  snapshot() {
    if (!this.#session.isEstablished || !["NEW", "PLAYING", "PUBLISHING"].includes(this.#status)) {
      throw new Error("A picture can be taken of a new, playing or publishing stream in an established session only.");
    }
    this.#snapshotAwaited = true;
    this.#session.send("snapshot", { name: this.name(), mediaSessionId: this.#id });
  }

  /** Sends any JSON object to everybody who plays this stream. */
  sendData(payload) {
    if (this.#status !== STREAM_STATUS.PUBLISHING) throw new Error("Data can be sent while the stream is PUBLISHING.");
    this.#session.send("sendStreamEvent", { mediaSessionId: this.#id, type: STREAM_EVENT_TYPE.DATA, payload });
  }

  /** Figures in WCS form (or the browser's report with `native`), to the callback and as a promise. */
  async getStats(callback, native) {
    const report = this.#peer ? await this.#peer.connection.getStats() : new Map();
    const result = native ? report : summarize(report);
    if (typeof callback === "function") callback(result);
    return result;
  }

  // What the session hands on from the server.

  /** `setRemoteSDP` */
  receiveAnswer(sdp) {
    if (!this.#peer || this.#peer.isAnswered) return this.#session.logger.warn("Stream", "a second answer was ignored", this.#id);
    const { audio, video } = this.#options.constraints ?? {};
    const peer = this.#peer;
    peer.answer(sdp, {
      audio: typeof audio === "object" ? audio : {},
      rates: this.#rates(video),
      hook: this.#options.sdpHook,
    }).then(() => {
      if (this.#peer !== peer) return;
      if (this.#options.playoutDelay) peer.delayPlayout(Number(this.#options.playoutDelay));
      this.#playback?.show(peer.remoteTracks());
    }).catch((error) => {
      if (this.#peer !== peer) return;
      const sentence = "The browser did not accept the server's answer: " + error.message;
      this.#session.send(this.#stopMessage, this.#identity());
      this.#failHere(sentence);
    });
  }

  /** `notifyStreamStatusEvent`, `notifyVideoFormat`, and `fail` frames about a stream. */
  receiveStatus({ status, info, audioState, videoState, recordName, streamerVideoWidth, streamerVideoHeight }) {
    if (this.#isOver) return;
    if (info) this.#info = info;
    if (audioState) this.#audioState = audioState;
    if (videoState) this.#videoState = videoState;
    if (recordName && this.#options.record) this.#recordName = recordName;
    if (TERMINAL_STATUSES.includes(status)) return this.#end(status);
    if (PASSING.includes(status)) {
      if (streamerVideoWidth) this.#resolution = { width: streamerVideoWidth, height: streamerVideoHeight };
      if (status === STREAM_STATUS.SNAPSHOT_COMPLETE) return this.#deliverSnapshot();
      return this.#callbacks.call(status, this);
    }
    if (!status) return;
    this.#status = status;
    this.#callbacks.call(status, this);
    if (this.#stopState === "wanted" && RUNNING.includes(status)) this.#sendStop();
  }

  /** `notifyStreamEvent` */
  receiveEvent(event) {
    const { type, payload } = event;
    if (type === STREAM_EVENT_TYPE.RESIZE && payload) {
      this.#resolution = { width: payload.streamerVideoWidth, height: payload.streamerVideoHeight };
    } else if (type === STREAM_EVENT_TYPE.NOT_ENOUGH_BANDWIDTH && payload?.info) {
      const [bitrate, network] = String(payload.info).split("/");
      this.#bandwidth = { bitrate, network };
    } else if (/^(audio|video)(Muted|Unmuted)$/.test(type)) {
      const state = { muted: type.endsWith("Muted") };
      if (type.startsWith("audio")) this.#audioState = state;
      else this.#videoState = state;
    }
    this.#callbacks.call(STREAM_EVENT, event);
    if (type === STREAM_EVENT_TYPE.NOT_ENOUGH_BANDWIDTH) this.#callbacks.call(STREAM_STATUS.NOT_ENOUGH_BANDWIDTH, this);
    if (type === STREAM_EVENT_TYPE.RESIZE) this.#callbacks.call(STREAM_STATUS.RESIZE, this);
    if (type === STREAM_EVENT_TYPE.SNAPSHOT_COMPLETED) {
      this.#info = payload?.snapshot;
      this.#deliverSnapshot();
    } else if (type === STREAM_EVENT_TYPE.SNAPSHOT_FAILED && this.#snapshotAwaited) {
      this.#snapshotAwaited = false;
      this.#info = payload?.info;
      // A stream made for the picture alone has failed with it, as pages written for the older form expect.
      if (this.#status === STREAM_STATUS.NEW) this.#end(STREAM_STATUS.FAILED);
    }
  }

  /** `availableStream`; the status is a string on the wire. */
  receiveAvailability({ status, info }) { this.#settleAvailability(status === "true", info); }

  /** `inboundVideoRate`, `outboundVideoRate` */
  async receiveRate(rate) {
    if (!this.#peer) return;
    const report = await this.#peer.connection.getStats();
    const result = this.#meter.update(videoBytes(report, this.#published), Number(rate), performance.now());
    if (result && !this.#isOver) this.#callbacks.call(CONNECTION_QUALITY.UPDATE, result.quality, result.here, result.there);
  }

  /** The session is gone. */
  receiveConnectionLoss(sentence) {
    this.#settleAvailability(false, sentence);
    if (this.#isOver) return;
    this.#errorInfo = sentence;
    this.#end(STREAM_STATUS.FAILED);
  }

  // Inside.

  get #isOver() { return TERMINAL_STATUSES.includes(this.#status); }
  get #stopMessage() { return this.#published ? "unPublishStream" : "stopStream"; }

  #begin(published) {
    if (this.#status !== STREAM_STATUS.NEW) throw new Error("A stream can be published or played once; make a new one.");
    this.#session.adopt(this);
    this.#published = published;
    this.#status = STREAM_STATUS.PENDING;
  }

  #openPeer() {
    this.#peer = new Peer(this.#session.mediaOptions ?? {}, () => this.#after(MEDIA_FAILURE_GRACE, () => {
      this.#session.send(this.#stopMessage, this.#identity());
      this.#failHere("The media connection to the server was lost.");
    }));
    return this.#peer;
  }

  #wants(kind) {
    const option = this.#options[kind === "audio" ? "receiveAudio" : "receiveVideo"];
    const constraint = this.#options.constraints?.[kind];
    return Boolean(constraint ?? option ?? true);
  }

  /** Rates from the stream's options or its video constraints, kbit/s. */
  #rates(video) {
    const rate = (name) => this.#options[name] ?? video?.[name] ?? 0;
    return { bitrate: rate("bitrate"), minBitrate: rate("minBitrate"), maxBitrate: rate("maxBitrate") };
  }

  #identity() {
    return {
      mediaSessionId: this.#id, name: this.name(), published: this.#published, hasVideo: true, hasAudio: true,
      status: this.#status, record: Boolean(this.#options.record),
    };
  }

  #request(message, fields) {
    this.#isRequested = true;
    const { custom, transport, cvoExtension } = this.#options;
    this.#session.send(message, { ...this.#identity(), mediaProvider: "WebRTC", ...fields, custom, transport, cvoExtension });
  }

  /** True when nothing may be asked of the server any more: ended meanwhile, or stopped before it heard of the stream. */
  #abandoned() {
    if (this.#isOver) return true;
    if (this.#stopState !== "wanted") return false;
    this.#end(this.#published ? STREAM_STATUS.UNPUBLISHED : STREAM_STATUS.STOPPED);
    return true;
  }

  #sendStop() {
    if (this.#isOver || this.#stopState === "sent") return;
    this.#stopState = "sent";
    this.#session.send(this.#stopMessage, this.#identity());
    this.#closePeer();
    const patience = this.#options.record ? STOP_CONFIRMATION_RECORDING : STOP_CONFIRMATION;
    this.#after(patience, () => this.#end(this.#published ? STREAM_STATUS.UNPUBLISHED : STREAM_STATUS.STOPPED));
  }

  #failHere(sentence) {
    if (this.#isOver) return;
    this.#info = ERROR_INFO.LOCAL_ERROR;
    this.#errorInfo = sentence;
    this.#session.logger.error("Stream", sentence);
    this.#end(STREAM_STATUS.FAILED);
  }

  #end(status) {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#status = status;
    this.#closePeer();
    this.#source?.close();
    this.#playback?.close();
    this.#session.release(this);
    this.#callbacks.call(status, this);
  }

  #closePeer() {
    this.#peer?.close();
    this.#peer = null;
  }

  #after(milliseconds, action) {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }

  #setSending(kind, sending, eventType) {
    if (!this.#source?.setSending(kind, sending)) return;
    if (this.#status === STREAM_STATUS.PUBLISHING) {
      this.#session.send("sendStreamEvent", { mediaSessionId: this.#id, type: eventType });
    }
  }

  #switch(refusal, action) {
    if (this.#status !== STREAM_STATUS.PUBLISHING || !this.#peer) return Promise.reject(new Error(refusal));
    return action(this.#source, this.#peer);
  }

  #tellHindered(how) {
    if (this.#isOver) return;
    const type = how === "muted" ? STREAM_EVENT_TYPE.PLAYBACK_MUTED : STREAM_EVENT_TYPE.PLAYBACK_BLOCKED;
    this.#callbacks.call(STREAM_EVENT, { mediaSessionId: this.#id, type });
  }

  #deliverSnapshot() {
    // A server may send the old and the new form; the page hears of one picture once.
    if (!this.#snapshotAwaited) return;
    this.#snapshotAwaited = false;
    this.#callbacks.call(STREAM_STATUS.SNAPSHOT_COMPLETE, this);
  }

  #settleAvailability(isAvailable, info) {
    if (!this.#availability.isAsked) return;
    this.#info = info || this.#info;
    // A stream made for the question alone must not stay in the session's table.
    if (this.#status === STREAM_STATUS.NEW && !this.#snapshotAwaited) this.#session.release(this);
    this.#availability.settle(isAvailable, this);
  }
}
