// SPDX-License-Identifier: Apache-2.0
// Made by Web/build-classic.py from Web/sdk; change the modules there and run it again.
(function () {
"use strict";

// sdk/browser.js
// Which browser this is, asked only where no feature can be tested instead (and by WCS pages through `Flashphoner.Browser`).

const agent = () => (typeof navigator === "undefined" ? "" : navigator.userAgent);

const isiOS = () => /iPhone|iPad|iPod/.test(agent())
  // iPadOS calls itself a Mac; no Mac has a touch screen.
  || (/Macintosh/.test(agent()) && typeof navigator !== "undefined" && navigator.maxTouchPoints > 1);
const isAndroid = () => /Android/.test(agent());
const isFirefox = () => /Firefox\/|FxiOS/.test(agent());
const isEdge = () => /Edge\//.test(agent());
const isChromiumEdge = () => /Edg(A|iOS)?\//.test(agent());
const isOpera = () => /OPR\//.test(agent());
const isSamsungBrowser = () => /SamsungBrowser/.test(agent());
const isChrome = () => /Chrome\/|Chromium\//.test(agent()) && !isEdge() && !isOpera();
const isSafari = () => /Safari\//.test(agent()) && !/Chrome|Chromium|CriOS|Android|FxiOS/.test(agent());

const Browser = Object.freeze({
  isIE: () => false,
  isFirefox,
  isChrome,
  isEdge,
  isOpera,
  isiOS,
  isSafari,
  isAndroid,
  isSafariWebRTC: () => isSafari() && typeof RTCPeerConnection !== "undefined",
  isSamsungBrowser,
  isAndroidFirefox: () => isAndroid() && isFirefox(),
  isChromiumEdge,
});

// sdk/constants.js
// Names of statuses, events and reasons, spelled as they travel on the wire. Read by every SDK module and by pages
// (`Flashphoner.constants`); values never change at run time.

const named = (...names) => Object.freeze(Object.fromEntries(names.map((name) => [name, name])));

/** Life of a session, and what `session.on` can listen to. */
const SESSION_STATUS = named(
  "PENDING", "CONNECTED", "ESTABLISHED", "DISCONNECTED", "FAILED",
  "WARN", "DEBUG", "APP_DATA", "SEND_DATA_STATUS", "REGISTERED", "UNREGISTERED", "INCOMING_CALL",
);

/** Life of a stream, and what `stream.on` can listen to. The last three are deprecated forms of stream events. */
const STREAM_STATUS = named(
  "NEW", "PENDING", "PUBLISHING", "PLAYING", "PAUSED", "UNPUBLISHED", "STOPPED", "FAILED", "PLAYBACK_PROBLEM",
  "RESIZE", "SNAPSHOT_COMPLETE", "NOT_ENOUGH_BANDWIDTH",
);

/** `stream.getInfo()` after FAILED, STOPPED or UNPUBLISHED. */
const STREAM_STATUS_INFO = Object.freeze({
  FAILED_BY_ICE_ERROR: "Failed by ICE error",
  FAILED_BY_ICE_TIMEOUT: "Failed by ICE timeout",
  FAILED_BY_KEEP_ALIVE: "Failed by ICE keep alive",
  FAILED_BY_DTLS_FINGERPRINT_ERROR: "Failed by DTLS fingerprint error",
  FAILED_BY_DTLS_ERROR: "Failed by DTLS error",
  FAILED_BY_HLS_WRITER_ERROR: "Failed by HLS writer error",
  FAILED_BY_RTMP_WRITER_ERROR: "Failed by RTMP writer error",
  FAILED_BY_RTP_ACTIVITY: "Failed by RTP activity",
  FAILED_BY_ERROR: "Failed by error",
  FAILED_TO_ADD_STREAM_TO_PROXY: "Failed to add stream to proxy",
  STOPPED_BY_SESSION_DISCONNECT: "Stopped by session disconnect",
  STOPPED_BY_REST_TERMINATE: "Stopped by rest /terminate",
  STOPPED_BY_PUBLISHER_STOP: "Stopped by publisher stop",
  STOPPED_BY_USER: "Stopped by user",
  DISTRIBUTOR_STOPPED: "Distributor stopped",
  PUBLISH_STREAM_IS_NOT_READY: "Publish stream is not ready",
  STREAM_NOT_FOUND: "Stream not found",
  STREAM_NAME_ALREADY_IN_USE: "Stream name is already in use",
  MEDIASESSION_ID_NULL: "MediaSessionId is null",
  MEDIASESSION_ID_ALREADY_IN_USE: "MediaSessionId is already in use",
  SESSION_NOT_READY: "Session not ready",
  SESSION_DOES_NOT_EXIST: "Session does not exist",
  NO_COMMON_CODECS: "No common codecs",
  RESTRICTED_ACCESS: "Restricted access",
  TRANSCODING_REQUIRED_BUT_DISABLED: "Transcoding required, but disabled",
  NO_AVAILABLE_TRANSCODERS: "No available transcoders",
  RTSP_HAS_WRONG_FORMAT: "Rtsp has wrong format",
  RTSP_STREAM_NOT_FOUND: "Rtsp stream not found",
  RTSPAGENT_SHUTDOWN: "RtspAgent shutdown",
  FAILED_TO_CONNECT_TO_RTSP_STREAM: "Failed to connect to rtsp stream",
  STREAM_FAILED: "Stream failed",
  BAD_URI: "Bad URI",
  FILE_NOT_FOUND: "File not found",
  FILE_HAS_WRONG_FORMAT: "File has wrong format",
  FAILED_TO_READ_FILE: "Failed to read file",
  GOT_EXCEPTION_WHILE_STREAMING_FILE: "Got exception while streaming file",
  REQUESTED_STREAM_SHUTDOWN: "Requested stream shutdown",
  FAILED_TO_CONNECT_TO_ORIGIN_STREAM: "Failed to connect to origin stream",
  CDN_STREAM_NOT_FOUND: "CDN stream not found",
  FAILED_TO_GET_AGENT_STORAGE: "Failed to get agent storage",
  AGENT_SERVICING_ORIGIN_STREAM_IS_SHUTTING_DOWN: "Agent servicing origin stream is shutting down",
  TERMINATED_BY_KEEP_ALIVE: "Terminated by keep-alive",
});

/** What went wrong on this side; `stream.getErrorInfo()` has the sentence. */
const ERROR_INFO = Object.freeze({
  NONE_OF_MEDIAPROVIDERS_AVAILABLE: "This browser has no WebRTC",
  FLASHPHONER_API_NOT_INITIALIZED: "Flashphoner.init() was not called",
  OPTIONS_URLSERVER_MISSED: "createSession needs the option urlServer",
  INVALID_SESSION_STATE: "The session is not in the state this call needs",
  OPTIONS_NAME_MISSED: "createStream needs the option name",
  DISPLAY_MISSED: "This call needs the option display",
  CAN_NOT_SWITCH_CAM: "The camera can't be switched now",
  CAN_NOT_SWITCH_MIC: "The microphone can't be switched now",
  LOCAL_ERROR: "Local error",
});

/** The one event name under which `notifyStreamEvent` frames arrive; look at `.type`. */
const STREAM_EVENT = "STREAM_EVENT";

/** `type` of a stream event. `audioLevel` and `recordingStopped` are Martlet's: who speaks in a room; a recording that has ended before its stream. The last two are this SDK's own: the browser refused sound, or refused to play at all. */
const STREAM_EVENT_TYPE = Object.freeze({
  AUDIO_MUTED: "audioMuted",
  AUDIO_UNMUTED: "audioUnmuted",
  VIDEO_MUTED: "videoMuted",
  VIDEO_UNMUTED: "videoUnmuted",
  DATA: "data",
  RESIZE: "resize",
  NOT_ENOUGH_BANDWIDTH: "notEnoughBandwidth",
  SNAPSHOT_COMPLETED: "snapshotCompleted",
  SNAPSHOT_FAILED: "snapshotFailed",
  AUDIO_LEVEL: "audioLevel",
  RECORDING_STOPPED: "recordingStopped",
  PLAYBACK_MUTED: "playbackMuted",
  PLAYBACK_BLOCKED: "playbackBlocked",
});

/** Classes of a connection, and (UPDATE) the name under which `stream.on` reports them. */
const CONNECTION_QUALITY = named("PERFECT", "GOOD", "BAD", "UNKNOWN", "UPDATE");

const MEDIA_DEVICE_KIND = named("INPUT", "OUTPUT", "ALL");
const TRANSPORT_TYPE = named("UDP", "TCP");
const CALL_STATUS = named(
  "NEW", "RING", "RING_MEDIA", "HOLD", "ESTABLISHED", "FINISH", "BUSY", "SESSION_PROGRESS", "FAILED", "PENDING", "TRYING",
);

/** `stream.status()` can't change any more after one of these. */
const TERMINAL_STATUSES = Object.freeze(["FAILED", "STOPPED", "UNPUBLISHED"]);

const constants = Object.freeze({ SESSION_STATUS, STREAM_STATUS, STREAM_STATUS_INFO, ERROR_INFO, STREAM_EVENT, STREAM_EVENT_TYPE, CONNECTION_QUALITY, MEDIA_DEVICE_KIND, TRANSPORT_TYPE, CALL_STATUS, TERMINAL_STATUSES });

// sdk/events.js
// One callback per event name, replaced by the next `on` for that name, as WCS pages expect. Owned by each session and stream.

class Callbacks {
  #byEvent = new Map();

  /** Registers `callback` for `event`, in place of an earlier one. Throws TypeError when either is missing. */
  set(event, callback) {
    if (!event) throw new TypeError("on() needs the name of an event");
    if (typeof callback !== "function") throw new TypeError("on() needs a function to call for " + event);
    this.#byEvent.set(event, callback);
  }

  /** Calls the callback. An error in a page's callback is reported by the browser but must not stop the SDK half-way. */
  call(event, ...values) {
    const callback = this.#byEvent.get(event);
    if (!callback) return;
    try {
      callback(...values);
    } catch (error) {
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    }
  }
}

/** A version 4 UUID; `crypto.randomUUID` is missing on pages that came over plain http. */
function createUUID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// sdk/logger.js
// What the SDK tells about itself: the console up to a severity, and the server (`pushLogs`) when a page asks for it.
// One per session, handed to its streams.

const SEVERITIES = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const CONSOLE_METHODS = { ERROR: "error", WARN: "warn", INFO: "info", DEBUG: "debug", TRACE: "debug" };

class Logger {
  #limit;
  #push;
  #send = null;

  /** @param options `{severity, push}`: the least important severity shown (default WARN) and whether the server gets a copy. */
  constructor(options = {}) {
    this.setLevel(options.severity ?? "WARN");
    this.#push = options.push === true;
  }

  setLevel(severity) {
    const index = SEVERITIES.indexOf(String(severity).toUpperCase());
    this.#limit = index < 0 ? SEVERITIES.indexOf("WARN") : index;
  }

  /** Says how a line gets to the server; null once the connection is gone. */
  setSender(send) { this.#send = send; }
  setPushLogs(push) { this.#push = push === true; }

  error(component, ...parts) { this.#write("ERROR", component, parts); }
  warn(component, ...parts) { this.#write("WARN", component, parts); }
  info(component, ...parts) { this.#write("INFO", component, parts); }
  debug(component, ...parts) { this.#write("DEBUG", component, parts); }
  trace(component, ...parts) { this.#write("TRACE", component, parts); }

  #write(severity, component, parts) {
    if (SEVERITIES.indexOf(severity) <= this.#limit) {
      console[CONSOLE_METHODS[severity]]("[" + component + "]", ...parts);
    }
    if (this.#push && this.#send) {
      const time = new Date().toISOString().slice(11, 19);
      this.#send(time + " " + severity + " " + component + " - " + JSON.stringify(parts.map(String).join(" ")) + "\n");
    }
  }
}

// sdk/media.js
// Cameras, microphones and screens: turns WCS constraints into the browser's, captures, and says in words why it could not.
// Called by Stream when it publishes and by Flashphoner.getMediaAccess/getMediaDevices.

/** Was the screen asked for rather than a camera? */
const wantsScreen = (constraints) => constraints?.video?.type === "screen";

/**
 * Captures what `constraints` ask for: `{audio, video}` in the WCS form (`video.type: "screen"`, device ids as plain strings,
 * numbers as strings) or `{customStream: MediaStream}`. Rejects with an Error whose message is a sentence for the user.
 */
async function capture(constraints, { asIs = false } = {}) {
  if (constraints.customStream instanceof MediaStream) return constraints.customStream;
  const audio = asIs ? constraints.audio : audioConstraints(constraints.audio);
  const video = asIs ? constraints.video : videoConstraints(constraints.video);
  if (!audio && !video) throw new Error("Neither audio nor video was asked for, so there is nothing to publish.");
  if (!navigator.mediaDevices) {
    throw new Error("The browser gives camera and microphone only to pages opened over https:// or from localhost.");
  }
  try {
    if (!wantsScreen(constraints)) return await navigator.mediaDevices.getUserMedia({ audio: audio || false, video: video || false });
    return await captureScreen(constraints, audio, video);
  } catch (error) {
    throw new Error(describe(error, constraints), { cause: error });
  }
}

async function captureScreen(constraints, audio, video) {
  if (!navigator.mediaDevices.getDisplayMedia) {
    throw Object.assign(new Error("This browser can't share the screen."), { name: "Unsupported" });
  }
  const systemSound = constraints.audio?.systemSound === true;
  const media = await navigator.mediaDevices.getDisplayMedia({ video: video || true, audio: systemSound });
  if (!audio || media.getAudioTracks().length > 0) return media;
  try {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio });
    microphone.getAudioTracks().forEach((track) => media.addTrack(track));
    return media;
  } catch (error) {
    stopTracks(media);
    throw error;
  }
}

function stopTracks(media) {
  media?.getTracks().forEach((track) => track.stop());
}

// Keys of WCS constraints that mean something to the SDK or the server, but not to the browser.
const NOT_FOR_BROWSER = ["type", "mediaSource", "withoutExtension", "bitrate", "minBitrate", "maxBitrate", "quality", "codec",
  "codecs", "stereo", "fec", "systemSound", "outputId"];

function audioConstraints(audio) {
  if (!audio || typeof audio !== "object") return Boolean(audio);
  return cleaned(audio);
}

function videoConstraints(video) {
  if (!video || typeof video !== "object") return Boolean(video);
  const result = cleaned(video);
  for (const key of ["width", "height", "frameRate"]) {
    if (result === true || !(key in result) || typeof result[key] === "object") continue;
    const number = Number(result[key]);
    if (number > 0) result[key] = { ideal: number };
    else delete result[key];
  }
  if (video.type === "screen" && result !== true) {
    // A screen has no device id and no camera side; getDisplayMedia refuses such keys.
    delete result.deviceId;
    delete result.facingMode;
  }
  return result === true || Object.keys(result).length === 0 ? true : result;
}

function cleaned(constraints) {
  const result = { ...constraints };
  NOT_FOR_BROWSER.forEach((key) => delete result[key]);
  if (typeof result.deviceId === "string") {
    if (result.deviceId) result.deviceId = { exact: result.deviceId };
    else delete result.deviceId;
  }
  return Object.keys(result).length === 0 ? true : result;
}

function describe(error, constraints) {
  const what = wantsScreen(constraints) ? "screen"
    : constraints.audio && constraints.video ? "camera or microphone"
    : constraints.video ? "camera" : "microphone";
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The use of the " + what + " was not allowed. Allow it in the browser's settings for this page and try again.";
    case "NotFoundError":
      return "No " + what + " was found on this device.";
    case "NotReadableError":
    case "AbortError":
      return "The " + what + " could not be started; another program may be using it.";
    case "OverconstrainedError":
      return "No " + what + " can do what was asked (" + (error.constraint || "constraints") + ").";
    case "Unsupported":
      return error.message;
    default:
      return "The " + what + " could not be opened: " + (error.message || error.name || "unknown reason") + ".";
  }
}

/**
 * Lists devices as `{audio: [...], video: [...]}`, each `{id, label, type}`. With `labels` the user is asked for access first,
 * because browsers hide labels until then. `kind` is one of MEDIA_DEVICE_KIND.
 */
async function listDevices(labels, kind = "INPUT", constraints = { audio: true, video: true }) {
  if (!navigator.mediaDevices) {
    throw new Error("The browser lists devices only to pages opened over https:// or from localhost.");
  }
  if (labels) stopTracks(await capture(constraints));
  const list = { audio: [], video: [] };
  for (const device of await navigator.mediaDevices.enumerateDevices()) {
    const isOutput = device.kind === "audiooutput";
    if (kind === "INPUT" && isOutput || kind === "OUTPUT" && !isOutput) continue;
    const [into, type, word] = device.kind === "videoinput" ? [list.video, "camera", "camera"]
      : isOutput ? [list.audio, "speaker", "speaker"] : [list.audio, "mic", "microphone"];
    const number = into.filter((other) => other.type === type).length + 1;
    into.push({ id: device.deviceId, label: device.label || word + " " + number, type });
  }
  return list;
}

// sdk/display.js
// Video elements inside the displays that pages hand over, and the local media kept with a display between two publishes.
// Used by Stream; a display is either a container, in which an element is made, or a <video> element of the page.

const isVideo = (display) => display instanceof HTMLVideoElement;

/** Makes (or takes) the element for a stream. `id` becomes the id of an element made here. Null without a display. */
function openElement(display, id, { muted, controls }) {
  if (!display) return null;
  const element = isVideo(display) ? display : document.createElement("video");
  element.autoplay = true;
  element.playsInline = true;
  element.muted = muted;
  element.setAttribute("playsinline", "");
  if (controls) element.controls = true;
  if (!isVideo(display)) {
    element.id = id;
    display.append(element);
  }
  return element;
}

/** Ends what the element shows and takes it away if it was made here. */
function closeElement(display, element) {
  if (!element) return;
  element.pause();
  element.srcObject = null;
  if (!isVideo(display)) element.remove();
}

/**
 * Starts playback. Browsers may refuse sound before the user has touched the page: then it starts muted.
 * Resolves to "playing", "muted" (playing without sound) or "blocked".
 */
async function startElement(element) {
  try {
    await element.play();
    return "playing";
  } catch (error) {
    // AbortError: the source was changed or removed meanwhile; whoever did that has started it again or wants it gone.
    if (error.name !== "NotAllowedError") return "playing";
    if (element.muted) return "blocked";
  }
  element.muted = true;
  try {
    await element.play();
    return "muted";
  } catch (error) {
    return error.name === "NotAllowedError" ? "blocked" : "muted";
  }
}

/** Full screen on, or off again. iPhones can do it for the video element only. */
function toggleFullScreen(element) {
  const current = document.fullscreenElement || document.webkitFullscreenElement;
  if (current) return (document.exitFullscreen || document.webkitExitFullscreen).call(document);
  const enter = element.requestFullscreen || element.webkitRequestFullscreen || element.webkitEnterFullscreen;
  if (enter) return enter.call(element);
  return undefined;
}

// What is captured for a display while no stream uses it: {media, screen, element}.
const kept = new WeakMap();

/** Keeps captured media with its display, in place of what was kept before. */
function keepLocal(display, media, screen, element) {
  kept.set(display, { media, screen, element });
}

/** Takes kept media out if it is alive and has the tracks that are asked for; what doesn't fit is released. */
function takeLocal(display, { audio, video, screen }) {
  const entry = display && kept.get(display);
  if (!entry) return null;
  const live = (tracks) => tracks.some((track) => track.readyState === "live");
  const fits = entry.screen === screen
    && (!audio || live(entry.media.getAudioTracks()))
    && (!video || live(entry.media.getVideoTracks()));
  if (!fits) {
    releaseLocal(display);
    return null;
  }
  kept.delete(display);
  closeElement(display, entry.element);
  entry.media.getTracks().forEach((track) => { track.enabled = true; });
  return entry.media;
}

/** Stops kept media. True if there was any. */
function releaseLocal(display) {
  const entry = display && kept.get(display);
  if (!entry) return false;
  kept.delete(display);
  entry.media.getTracks().forEach((track) => track.stop());
  closeElement(display, entry.element);
  return true;
}

// sdk/room-participant.js
// One other person in a room and that person's streams, as the server's events describe them. Made and kept by Room.

/** A stream that somebody else publishes in the room; it may be played more than once, into different displays. */
class RoomStream {
  #room;
  #name;
  #played = [];

  /** @param room what the room lends: playInRoom(name, display, options). */
  constructor(room, name) {
    this.#room = room;
    this.#name = name;
  }

  streamName() { return this.#name; }
  /** Whether it was published with `name: "screenShare"`. */
  isScreenShare() { return this.#name.endsWith("-screenShare"); }
  /** Id of what was played last; undefined before that. */
  id() { return this.#played.at(-1)?.id(); }

  /** Plays into `display`, with options of `createStream` if need be, and returns the SDK's stream. */
  play(display, options = {}) {
    const stream = this.#room.playInRoom(this.#name, display, options);
    this.#played = this.#played.filter((other) => !isOver(other));
    this.#played.push(stream);
    return stream;
  }

  /** Stops every playing of this stream by this page. */
  stop() {
    for (const stream of this.#played) if (!isOver(stream)) stream.stop();
  }
}

const isOver = (stream) => TERMINAL_STATUSES.includes(stream.status());

class Participant {
  #room;
  #name;
  #streams = new Map();

  /** @param room what the room lends: sendTo(login, text), playInRoom(…). */
  constructor(room, name) {
    this.#room = room;
    this.#name = name;
  }

  name() { return this.#name; }
  getStreams() { return [...this.#streams.values()]; }

  /**
   * Sends text to this person alone. Resolves with whether the server took it, and never rejects.
   * @param onError called with the server's reason when it did not.
   */
  sendMessage(text, onError) {
    return this.#room.sendTo(this.#name, text).then(() => true, (outcome) => {
      if (typeof onError === "function") onError(outcome?.info);
      return false;
    });
  }

  // For the room.

  /** The stream of that name; a new one unless it is known. */
  addStream(name) {
    if (!this.#streams.has(name)) this.#streams.set(name, new RoomStream(this.#room, name));
    return this.#streams.get(name);
  }

  hasStream(name) { return this.#streams.has(name); }

  /** Returns what was taken out, or undefined. */
  removeStream(name) {
    const stream = this.#streams.get(name);
    this.#streams.delete(name);
    return stream;
  }
}

// sdk/room.js
// One stay of this page's user in one room: who else is there, their streams and messages, and publishing among them. Made by
// RoomSession.join; gets the server's events from there. A stay that ended does not begin again; a page joins anew.

/** What `room.on` can listen to. */
const ROOM_EVENT = Object.freeze({
  STATE: "STATE", JOINED: "JOINED", LEFT: "LEFT", PUBLISHED: "PUBLISHED", UNPUBLISHED: "UNPUBLISHED", FAILED: "FAILED",
  MESSAGE: "MESSAGE",
});

class Room {
  #session;
  #name;
  #state = "joining"; // joining → joined → left; failed instead when refused or put out
  #isDescribed = false;
  #callbacks = new Callbacks();
  #participants = new Map();
  #streams = new Set();
  #leaving = null;

  /** @param session what the connection lends: username(), sendCommand(command, options), createStream(options), forget(room). */
  constructor(session, { name, record }) {
    if (typeof name !== "string" || name === "") throw new TypeError("join() needs the name of a room");
    this.#session = session;
    this.#name = name;
    session.sendCommand("join", record === undefined ? { name } : { name, record })
      .catch((outcome) => this.#refused(outcome?.info));
  }

  name() { return this.#name; }
  getParticipants() { return [...this.#participants.values()]; }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  /**
   * Publishes here: the options of `createStream`, `name` being a suffix such as "screenShare". Camera and microphone stay open
   * in the display afterwards unless `cacheLocalResources` is false. Returns the SDK's stream.
   */
  publish(options = {}) {
    const base = [this.#name, this.#session.username(), createUUID().slice(0, 4)].join("-");
    return this.#start("publish", {
      ...options,
      name: options.name ? base + "-" + options.name : base,
      cacheLocalResources: options.cacheLocalResources ?? true,
    });
  }

  /** Sends text to everybody else. Resolves with the names of those whom it could not be sent to; never rejects. */
  async sendMessage(text) {
    const addressees = this.getParticipants();
    const taken = await Promise.all(addressees.map((participant) => participant.sendMessage(text)));
    return addressees.filter((_, index) => !taken[index]).map((participant) => participant.name());
  }

  /** Ends the stay and every stream of it. Resolves, or rejects when the server objects, with the room; it is left either way. */
  leave() {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave() {
    if (this.#state === "failed") return this;
    const answer = this.#session.sendCommand("leave", { name: this.#name });
    this.#end("left");
    try {
      await answer;
      return this;
    } catch {
      throw this;
    } finally {
      this.#session.forget(this);
    }
  }

  // For the connection.

  /** Whether the server still has to describe this stay with a STATE event, even if it was left meanwhile. */
  get awaitsState() { return !this.#isDescribed && this.#state !== "failed"; }
  get isJoined() { return this.#state === "joined"; }
  get isOver() { return this.#state === "left" || this.#state === "failed"; }

  /** One event of this room. What makes no sense is ignored; what tells of an unknown person introduces that person. */
  receive(event, info) {
    if (event === ROOM_EVENT.STATE) return this.#describe(info);
    if (this.#state !== "joined") return undefined;
    switch (event) {
      case ROOM_EVENT.JOINED: return void this.#known(info);
      case ROOM_EVENT.LEFT: return this.#depart(info);
      case ROOM_EVENT.PUBLISHED: return this.#published(info);
      case ROOM_EVENT.UNPUBLISHED:
      case ROOM_EVENT.FAILED: return this.#unpublished(info);
      case ROOM_EVENT.MESSAGE: return this.#message(info);
      default: return undefined;
    }
  }

  /** The server has put this user out of the room, or closed it. */
  receiveExpulsion(reason) { this.#fail(reason ?? "The server has ended this stay in the room."); }

  /** The connection is gone, and with it the stay. */
  receiveConnectionLoss() { this.#end("left"); }

  // For participants and their streams.

  sendTo(login, text) {
    return this.#session.sendCommand("sendMessage", { roomConfig: { name: this.#name }, to: login, text: String(text) });
  }

  playInRoom(name, display, options) { return this.#start("play", { ...options, name, display }); }

  // Inside.

  #start(action, options) {
    if (this.isOver) throw new Error("The room was left; nothing can be published or played in it any more.");
    const stream = this.#session.createStream({ ...options, custom: { ...options.custom, name: this.#name } });
    for (const other of this.#streams) if (TERMINAL_STATUSES.includes(other.status())) this.#streams.delete(other);
    this.#streams.add(stream);
    stream[action]();
    return stream;
  }

  #describe(info) {
    this.#isDescribed = true;
    if (this.#state !== "joining") return;
    this.#state = "joined";
    for (const entry of Array.isArray(info) ? info : []) {
      const login = typeof entry === "string" ? entry : entry?.login;
      if (!isName(login)) continue;
      const participant = this.#participants.get(login) ?? this.#introduce(login);
      if (isName(entry.name)) participant.addStream(entry.name);
    }
    this.#callbacks.call(ROOM_EVENT.STATE, this);
  }

  #introduce(login) {
    const participant = new Participant(this, login);
    this.#participants.set(login, participant);
    return participant;
  }

  /** The participant of that login, introduced to the page if new; undefined for what can't be a login. */
  #known(login) {
    if (!isName(login)) return undefined;
    const known = this.#participants.get(login);
    if (known) return known;
    const participant = this.#introduce(login);
    this.#callbacks.call(ROOM_EVENT.JOINED, participant);
    return participant;
  }

  #depart(login) {
    const participant = this.#participants.get(login);
    if (!participant) return;
    this.#participants.delete(login);
    this.#callbacks.call(ROOM_EVENT.LEFT, participant);
  }

  #published(info) {
    if (!isName(info?.name)) return;
    const participant = this.#known(info.login);
    if (!participant || participant.hasStream(info.name)) return;
    const stream = participant.addStream(info.name);
    this.#callbacks.call(ROOM_EVENT.PUBLISHED, participant, stream);
  }

  #unpublished(info) {
    const participant = this.#participants.get(info?.login);
    const stream = participant?.removeStream(info.name);
    if (stream) this.#callbacks.call(ROOM_EVENT.UNPUBLISHED, participant, stream);
  }

  #message(info) {
    if (!isName(info?.from) || typeof info.text !== "string") return;
    // A sender who is gone already, or whom the server speaks for, still has a name.
    const from = this.#participants.get(info.from) ?? new Participant(this, info.from);
    this.#callbacks.call(ROOM_EVENT.MESSAGE, { from, text: info.text });
  }

  #refused(reason) {
    if (this.#state === "joining") this.#fail(reason ?? "The room could not be joined.");
  }

  #fail(reason) {
    this.#end("failed");
    this.#session.forget(this);
    this.#callbacks.call(ROOM_EVENT.FAILED, this, reason);
  }

  #end(state) {
    if (this.isOver) return;
    this.#state = state;
    for (const stream of this.#streams) stream.stop();
    this.#streams.clear();
    this.#participants.clear();
  }
}

const isName = (value) => typeof value === "string" && value !== "";

// sdk/room-session.js
// The Room API: a connection under a login, from which rooms are joined. Made by RoomApi.connect on top of an ordinary session;
// hands each event of the server to the stay in the room that it belongs to.

const ROOM_APPLICATION = "roomApp";

class RoomSession {
  #session;
  #username;
  #callbacks = new Callbacks();
  // Stays that are going on, and left ones of which the server has yet to speak; in the order of joining.
  #rooms = [];

  constructor(session, username) {
    this.#session = session;
    this.#username = username;
    session.on(SESSION_STATUS.APP_DATA, (data) => this.#receive(data?.payload));
    session.on(SESSION_STATUS.WARN, (warning) => {
      // Martlet's word to those who are put out of a room, or whose room is closed.
      if (warning?.roomEvent) this.#stay(warning.roomName, (stay) => stay.isJoined)?.receiveExpulsion(warning.info);
      this.#callbacks.call(SESSION_STATUS.WARN, this, warning);
    });
    for (const status of [SESSION_STATUS.CONNECTED, SESSION_STATUS.ESTABLISHED]) {
      session.on(status, () => this.#callbacks.call(status, this));
    }
    for (const status of [SESSION_STATUS.DISCONNECTED, SESSION_STATUS.FAILED]) {
      session.on(status, () => {
        for (const room of this.#rooms.splice(0)) room.receiveConnectionLoss();
        this.#callbacks.call(status, this);
      });
    }
  }

  id() { return this.#session.id(); }
  status() { return this.#session.status(); }
  getServerUrl() { return this.#session.getServerUrl(); }
  getErrorInfo() { return this.#session.getErrorInfo(); }
  getLogger() { return this.#session.getLogger(); }
  username() { return this.#username; }
  /** Rooms that this connection is in or joining. */
  getRooms() { return this.#rooms.filter((room) => !room.isOver); }
  disconnect() { this.#session.disconnect(); }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  /** Joins a room, which is made if nobody is there. ROOM_EVENT.STATE or FAILED follows. */
  join(options = {}) {
    const room = new Room(this, options);
    this.#rooms.push(room);
    return room;
  }

  // For rooms.

  sendCommand(command, options) { return this.#session.sendData({ command, options }); }
  createStream(options) { return this.#session.createStream(options); }
  forget(room) { this.#rooms = this.#rooms.filter((other) => other !== room); }

  #stay(roomName, fits) { return this.#rooms.find((room) => room.name() === roomName && fits(room)); }

  #receive(payload) {
    if (!payload || typeof payload !== "object") return;
    const { roomName, name, info } = payload;
    // Commands are taken in order, so descriptions come in the order of the joins, also of those left before theirs came.
    const room = this.#stay(roomName, (stay) => (name === ROOM_EVENT.STATE ? stay.awaitsState : stay.isJoined));
    if (room) room.receive(name, info);
    else this.#session.getLogger().debug("RoomSession", "ignored", name, "of", roomName);
  }
}

/**
 * The object that pages know as `RoomApi`.
 * @param createSession as of the SDK's door. @param sdk gives the SDK's default export, which pages take from here.
 */
function makeRoomApi(createSession, sdk) {
  return Object.freeze({
    /** Connects under `username`; `on` tells of the outcome. Options of `createSession` may be added. */
    connect({ username, token, appKey = ROOM_APPLICATION, custom, ...options } = {}) {
      if (typeof username !== "string" || username === "") throw new TypeError("connect() needs the option username");
      return new RoomSession(createSession({ ...options, appKey, custom: { ...custom, login: username, token } }), username);
    },
    events: ROOM_EVENT,
    get sdk() { return sdk(); },
  });
}

// sdk/availability.js
// Answers to `stream.available()` that are still awaited; one `availableStream` frame settles all of a stream's. Owned by Stream.

const PATIENCE = 10_000; // ms

class Availability {
  #waiting = [];

  get isAsked() { return this.#waiting.length > 0; }

  /** A promise for the next answer; `onSilence` is called when none comes in time. */
  ask(onSilence) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, timer: setTimeout(onSilence, PATIENCE) });
    });
  }

  settle(isAvailable, stream) {
    for (const { resolve, reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      if (isAvailable) resolve(stream);
      else reject(stream);
    }
  }
}

// sdk/sdp.js
// Edits of offers and answers that no browser API covers: codecs left out, stereo, rate hints. Pure functions on SDP text.

/** Splits into the session part and one text per m-line; joining them gives the input again. */
const sections = (sdp) => sdp.split(/^(?=m=)/m);
const lineEnd = (sdp) => (sdp.includes("\r\n") ? "\r\n" : "\n");

/**
 * Leaves out every codec whose name contains one of the comma-separated `names` (case-insensitive), with the RTX that belongs
 * to it. A section that would lose its last codec stays as it is: an m-line without formats is not valid SDP.
 */
function stripCodecs(sdp, names) {
  const wanted = String(names).split(",").map((name) => name.trim().toLowerCase()).filter(Boolean);
  if (wanted.length === 0) return sdp;
  return sections(sdp).map((section) => {
    if (!/^m=(audio|video) /.test(section)) return section;
    const removed = new Set();
    for (const [, type, name] of section.matchAll(/^a=rtpmap:(\d+) ([^/\r\n]+)/gm)) {
      if (wanted.some((part) => name.toLowerCase().includes(part))) removed.add(type);
    }
    for (const [, type, apt] of section.matchAll(/^a=fmtp:(\d+) [^\r\n]*\bapt=(\d+)/gm)) {
      if (removed.has(apt)) removed.add(type);
    }
    return without(section, removed);
  }).join("");
}

function without(section, removed) {
  if (removed.size === 0) return section;
  const lines = section.split(/\r?\n/);
  const head = lines[0].split(" ");
  const formats = head.slice(3).filter((type) => !removed.has(type));
  if (formats.length === 0) return section;
  lines[0] = [...head.slice(0, 3), ...formats].join(" ");
  return lines.filter((line) => {
    const attribute = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)[ ]/.exec(line);
    return !attribute || !removed.has(attribute[1]);
  }).join(lineEnd(section));
}

/**
 * Sets format parameters of the codecs named `codec` in sections of `kind`, replacing those of the same key.
 * @param parameters e.g. `{stereo: 1}`; undefined values are left out.
 */
function setFormatParameters(sdp, kind, codec, parameters) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return sdp;
  return sections(sdp).map((section) => {
    if (!section.startsWith("m=" + kind + " ")) return section;
    const end = lineEnd(section);
    const name = codec.replace(/[^\w-]/g, "\\$&");
    const types = Array.from(section.matchAll(new RegExp("^a=rtpmap:(\\d+) " + name + "/", "gim")), (match) => match[1]);
    for (const type of types) section = withParameters(section, type, entries, end);
    return section;
  }).join("");
}

function withParameters(section, type, entries, end) {
  const line = new RegExp("^a=fmtp:" + type + " ([^\\r\\n]*)", "m");
  const found = line.exec(section);
  if (!found) {
    const text = entries.map(([key, value]) => key + "=" + value).join(";");
    return section.replace(new RegExp("^(a=rtpmap:" + type + " [^\\r\\n]*)", "m"), "$1" + end + "a=fmtp:" + type + " " + text);
  }
  const kept = found[1].split(";").map((part) => part.trim()).filter((part) => {
    const key = part.split("=")[0];
    return part && !entries.some(([name]) => name === key);
  });
  const text = [...kept, ...entries.map(([key, value]) => key + "=" + value)].join(";");
  return section.replace(line, "a=fmtp:" + type + " " + text);
}

// sdk/peer.js
// One RTCPeerConnection: makes the offer, takes the answer, gives tracks and figures. Owned by one Stream, which says when to close it.

class Peer {
  #connection;
  #answered = false;

  /** @param configuration the session's `mediaOptions`; @param onFailed called when the browser has given up on the connection. */
  constructor(configuration, onFailed) {
    // max-compat: answers with one port per m-line work as well as bundled ones.
    this.#connection = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-compat", ...configuration });
    this.#connection.addEventListener("connectionstatechange", () => {
      if (this.#connection.connectionState === "failed") onFailed();
    });
  }

  get connection() { return this.#connection; }
  get isAnswered() { return this.#answered; }

  sendTracks(media) {
    for (const track of media.getTracks()) {
      this.#connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
    }
  }

  receive(kinds) {
    for (const kind of kinds) this.#connection.addTransceiver(kind, { direction: "recvonly" });
  }

  sender(kind) {
    return this.#connection.getSenders().find((sender) => sender.track?.kind === kind) ?? null;
  }

  /**
   * The text to send. There is no trickling in WCS signalling and no waiting either: the server learns this side's addresses
   * from the connectivity checks, so the offer goes out without candidates.
   */
  async offer({ stereo, strip, hook }) {
    const offer = await this.#connection.createOffer();
    let sdp = offer.sdp;
    if (stereo) sdp = setFormatParameters(sdp, "audio", "opus", { stereo: 1, "sprop-stereo": 1 });
    await this.#connection.setLocalDescription({ type: "offer", sdp });
    if (strip) sdp = stripCodecs(sdp, strip);
    return applyHook(hook, "offer", sdp);
  }

  /** Applies the server's answer and the rates of `audio`/`video` constraints (kbit/s for video, bit/s for Opus). */
  async answer(sdp, { audio = {}, rates = {}, hook }) {
    this.#answered = true;
    sdp = setFormatParameters(sdp, "audio", "opus", {
      maxaveragebitrate: positive(audio.bitrate),
      stereo: audio.stereo ? 1 : undefined,
      useinbandfec: audio.fec === undefined ? undefined : Number(Boolean(audio.fec)),
    });
    const minimum = positive(rates.minBitrate);
    if (minimum && !Browser.isFirefox()) {
      for (const codec of ["VP8", "VP9", "H264", "AV1"]) {
        sdp = setFormatParameters(sdp, "video", codec, { "x-google-min-bitrate": minimum });
      }
    }
    await this.#connection.setRemoteDescription({ type: "answer", sdp: applyHook(hook, "answer", sdp) });
    if (positive(rates.maxBitrate)) await this.#limitVideo(positive(rates.maxBitrate) * 1000);
  }

  async #limitVideo(bitsPerSecond) {
    const sender = this.sender("video");
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    parameters.encodings.forEach((encoding) => { encoding.maxBitrate = bitsPerSecond; });
    try {
      await sender.setParameters(parameters);
    } catch {
      // A limit is a wish; a browser that can't keep it still sends.
    }
  }

  /** Asks receivers to hold media back this long, seconds. */
  delayPlayout(seconds) {
    for (const receiver of this.#connection.getReceivers()) {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = Math.min(4000, seconds * 1000);
      else if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = seconds;
    }
  }

  remoteTracks() {
    return this.#connection.getTransceivers()
      .filter((transceiver) => /recv/.test(transceiver.currentDirection ?? ""))
      .map((transceiver) => transceiver.receiver.track);
  }

  close() { this.#connection.close(); }
}

const positive = (value) => (Number(value) > 0 ? Number(value) : undefined);

function applyHook(hook, type, sdp) {
  if (typeof hook !== "function") return sdp;
  const changed = hook({ sdpString: sdp, type });
  return typeof changed === "string" && changed ? changed : sdp;
}

// sdk/playback.js
// The video element of one playing stream: start despite autoplay rules, volume, sound on and off, full screen. Owned by a Stream.

class Playback {
  #display;
  #element;
  #onHindered;

  /**
   * Must be made in the tick of the user's click: browsers let an element sound only if it was started there.
   * @param onHindered called with "muted" or "blocked" when the browser refuses sound, or playing at all.
   */
  constructor(options, streamId, onHindered) {
    this.#display = options.remoteVideo ?? options.display;
    this.#onHindered = onHindered;
    this.#element = openElement(this.#display, streamId, { muted: options.unmutePlayOnStart === false, controls: options.useControls });
    if (!this.#element) return;
    this.#element.srcObject = new MediaStream();
    // Never settles or fails without media; only the touch of the click matters here.
    this.#element.play().catch(() => {});
  }

  get element() { return this.#element; }

  /** Shows the tracks, all in one stream, whatever streams the server named. */
  async show(tracks) {
    if (!this.#element) return;
    this.#element.srcObject = new MediaStream(tracks);
    const result = await startElement(this.#element);
    if (result !== "playing" && this.#element) this.#onHindered(result);
  }

  get volume() { return this.#element ? Math.round(this.#element.volume * 100) : 0; }
  set volume(percent) {
    if (this.#element) this.#element.volume = Math.min(100, Math.max(0, Number(percent) || 0)) / 100;
  }

  get isMuted() { return this.#element ? this.#element.muted : true; }
  set isMuted(muted) {
    if (!this.#element) return;
    this.#element.muted = muted;
    // Called from a click, this is also what gets a blocked element going.
    if (!muted && this.#element.paused) this.#element.play().catch(() => {});
  }

  close() {
    closeElement(this.#display, this.#element);
    this.#element = null;
  }
}

// sdk/source.js
// What one publishing stream sends: captured tracks, their preview, muting and the change of camera, microphone or screen.
// Owned by a Stream; keeps captured media with the display afterwards when the page asked for that.

/** Captures for a display ahead of publishing, with a preview; the next publish into that display uses it. */
async function captureForDisplay(constraints, display, asIs) {
  if (!display) throw new TypeError("getMediaAccess needs a display");
  const media = await capture(constraints, { asIs });
  releaseLocal(display);
  const element = openElement(display, createUUID() + "-LOCAL_CACHED_VIDEO", { muted: true });
  element.srcObject = media;
  startElement(element);
  keepLocal(display, media, wantsScreen(constraints), element);
  return display;
}

class LocalSource {
  #options;
  #constraints;
  #media = null;
  #element = null;
  #closed = false;
  #gain = null;
  #cameraBeforeScreen = null;

  /** @param onEnded called when the user ends a screen share from the browser's own bar. */
  constructor(options, constraints, onEnded) {
    this.#options = options;
    this.#constraints = constraints;
    this.onEnded = onEnded;
  }

  get media() { return this.#media; }
  get element() { return this.#element; }
  get #display() { return this.#options.localVideo ?? this.#options.display; }
  track(kind) { return this.#media?.getTracks().find((track) => track.kind === kind) ?? null; }
  has(kind) { return this.track(kind) !== null; }

  /** Captures (or takes what is kept with the display) and shows the preview. Rejects with a sentence. */
  async open(streamId) {
    const screen = wantsScreen(this.#constraints);
    const wanted = { audio: Boolean(this.#constraints.audio), video: Boolean(this.#constraints.video), screen };
    const custom = this.#constraints.customStream;
    this.#media = (!custom && takeLocal(this.#display, wanted))
      || await capture(this.#constraints, { asIs: this.#options.disableConstraintsNormalization === true });
    if (this.#closed) return this.close();
    const video = this.track("video");
    if (video && this.#options.videoContentHint) video.contentHint = this.#options.videoContentHint;
    if (screen) this.#watchScreen(video);
    this.#element = openElement(this.#display, streamId, { muted: true, controls: this.#options.useControls });
    if (this.#element) {
      this.#element.srcObject = this.#media;
      startElement(this.#element);
    }
  }

  /** True when the track exists and is not muted. A stream without such a track counts as muted. */
  isSending(kind) { return this.track(kind)?.enabled === true; }

  /** Returns whether there was something to change. */
  setSending(kind, sending) {
    const track = this.track(kind);
    if (!track || track.enabled === sending) return false;
    track.enabled = sending;
    return true;
  }

  /** Sends another camera: `deviceId`, or the one after the current. */
  async switchCamera(peer, deviceId) {
    const id = deviceId ?? await this.#nextDevice("videoinput", this.track("video"));
    // Phones can't open two cameras at once, so the old one has to go first.
    this.track("video")?.stop();
    const { type, withoutExtension, facingMode, ...rest } = typeof this.#constraints.video === "object" ? this.#constraints.video : {};
    const media = await capture({ audio: false, video: { ...rest, deviceId: id } });
    await this.#replace(peer, media.getVideoTracks()[0]);
    return id;
  }

  async switchMicrophone(peer, deviceId) {
    const id = deviceId ?? await this.#nextDevice("audioinput", this.track("audio"));
    const rest = typeof this.#constraints.audio === "object" ? this.#constraints.audio : {};
    const media = await capture({ video: false, audio: { ...rest, deviceId: id } });
    this.#closeGain();
    await this.#replace(peer, media.getAudioTracks()[0]);
    return id;
  }

  async switchToScreen(peer) {
    const media = await capture({ audio: false, video: { type: "screen" } });
    const camera = this.track("video");
    this.#cameraBeforeScreen = camera?.getSettings().deviceId ?? null;
    await this.#replace(peer, media.getVideoTracks()[0]);
    // Ending the share from the browser's bar brings the camera back instead of ending the stream.
    media.getVideoTracks()[0].addEventListener("ended", () => {
      if (!this.#closed) this.switchToCamera(peer).catch(() => this.onEnded());
    });
  }

  async switchToCamera(peer) {
    const camera = this.#cameraBeforeScreen;
    const media = await capture({ audio: false, video: camera ? { deviceId: camera } : true });
    await this.#replace(peer, media.getVideoTracks()[0]);
  }

  /** Microphone volume, 0–100 (100 = as captured). */
  async setGain(peer, volume) {
    const value = Math.min(100, Math.max(0, Number(volume))) / 100;
    if (!this.#gain) {
      const track = this.track("audio");
      if (!track) return;
      const context = new AudioContext();
      const node = context.createGain();
      const output = context.createMediaStreamDestination();
      context.createMediaStreamSource(new MediaStream([track])).connect(node).connect(output);
      this.#gain = { context, node };
      await peer.sender("audio")?.replaceTrack(output.stream.getAudioTracks()[0]);
    }
    this.#gain.node.gain.value = value;
  }

  /** Takes the preview away; media is kept with the display if the page asked for it, else stopped. */
  close() {
    this.#closed = true;
    this.#closeGain();
    const media = this.#media;
    const display = this.#display;
    const element = this.#element;
    this.#element = null;
    if (!media) return;
    this.#media = null;
    const alive = media.getTracks().some((track) => track.readyState === "live");
    // Without an element the stream was stopped before its preview was up: an open camera must not go unseen.
    if (this.#options.cacheLocalResources && element && alive && !this.#constraints.customStream) {
      if (element !== display) element.id = createUUID() + "-LOCAL_CACHED_VIDEO";
      releaseLocal(display);
      return keepLocal(display, media, wantsScreen(this.#constraints), element);
    }
    // Tracks of a stream that the page made itself are the page's to stop.
    if (!this.#constraints.customStream) stopTracks(media);
    closeElement(display, element);
  }

  #watchScreen(track) {
    track?.addEventListener("ended", () => {
      if (!this.#closed && this.track("video") === track) this.onEnded();
    });
  }

  async #nextDevice(kind, current) {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind);
    if (devices.length === 0) throw new Error("There is no other device to switch to.");
    const index = devices.findIndex((device) => device.deviceId === current?.getSettings().deviceId);
    return devices[(index + 1) % devices.length].deviceId;
  }

  async #replace(peer, track) {
    const old = this.track(track.kind);
    if (this.#closed || !this.#media) return track.stop();
    if (old) track.enabled = old.enabled;
    const sender = peer.sender(track.kind);
    if (!sender) {
      track.stop();
      throw new Error("The stream was published without " + track.kind + ", which can't be added now.");
    }
    await sender.replaceTrack(track);
    if (old) {
      this.#media.removeTrack(old);
      old.stop();
    }
    this.#media.addTrack(track);
    if (this.#element) startElement(this.#element);
  }

  #closeGain() {
    this.#gain?.context.close();
    this.#gain = null;
  }
}

// sdk/stats.js
// Figures of a running stream in the form WCS pages read, and the comparison of both ends' video rates. Used by Stream.

/**
 * `{outboundStream: {audio, video}, inboundStream: {audio, video}, transport}`: the browser's own records with the name of the
 * codec added. Parts that don't exist are absent.
 */
function summarize(report) {
  const result = { outboundStream: {}, inboundStream: {} };
  report.forEach((record) => {
    if (record.type === "outbound-rtp" || record.type === "inbound-rtp") {
      const side = record.type === "outbound-rtp" ? result.outboundStream : result.inboundStream;
      const codec = report.get(record.codecId);
      side[record.kind] = { ...record, codec: codec?.mimeType?.split("/")[1] };
    } else if (record.type === "candidate-pair" && record.nominated && record.state === "succeeded") {
      result.transport = { ...record };
    }
  });
  report.forEach((record) => {
    // Loss and round trip as the server saw them belong to what we send.
    if (record.type !== "remote-inbound-rtp") return;
    const sent = result.outboundStream[record.kind];
    if (sent) Object.assign(sent, { packetsLost: record.packetsLost, roundTripTime: record.roundTripTime });
  });
  return result;
}

/** Video bytes sent (publisher) or received (player) so far. */
function videoBytes(report, isPublisher) {
  let bytes = 0;
  report.forEach((record) => {
    if (record.kind !== "video") return;
    if (isPublisher && record.type === "outbound-rtp") bytes += record.bytesSent ?? 0;
    if (!isPublisher && record.type === "inbound-rtp") bytes += record.bytesReceived ?? 0;
  });
  return bytes;
}

/** Compares this end's video rate with the server's, both smoothed, and names the quality of the connection between them. */
class QualityMeter {
  #last = null;
  #here = null;
  #there = null;

  /** @returns `{quality, here, there}` with rates in bit/s, or null for the first report, which has nothing to compare with. */
  update(bytes, serverRate, milliseconds) {
    const last = this.#last;
    this.#last = { bytes, milliseconds };
    if (!last || milliseconds <= last.milliseconds) return null;
    const rate = (bytes - last.bytes) * 8000 / (milliseconds - last.milliseconds);
    this.#here = smoothed(this.#here, rate);
    this.#there = smoothed(this.#there, serverRate);
    return { quality: classify(this.#here, this.#there), here: this.#here, there: this.#there };
  }
}

const smoothed = (old, value) => (old === null ? value : old + 0.3 * (value - old));

function classify(here, there) {
  if (!(here > 0) || !(there > 0)) return CONNECTION_QUALITY.UNKNOWN;
  const difference = Math.abs(here - there) / Math.min(here, there);
  // Near-silent video (a still screen) makes ratios meaningless.
  if (Math.min(here, there) < 50_000) return difference > 1.5 ? CONNECTION_QUALITY.BAD : CONNECTION_QUALITY.PERFECT;
  if (difference > 0.5) return CONNECTION_QUALITY.BAD;
  return difference > 0.2 ? CONNECTION_QUALITY.GOOD : CONNECTION_QUALITY.PERFECT;
}

// sdk/stream.js
// One published, played, asked-for or photographed stream: its life as the server tells it, and what a page may do with it.
// Made by Session.createStream; gets its wire messages from the session that owns it.

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

class Stream {
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

// sdk/session.js
// One WebSocket session with a server: handshake, liveness, and the way of each message to its stream. Made by
// Flashphoner.createSession; there is no reconnecting, a lost session is over and a page makes a new one.

const CLIENT_VERSION = "2.0";
const LOAD_BALANCER_ANSWER = 5_000;
const DATA_CONFIRMATION = 30_000;

class Session {
  #options;
  #id = createUUID();
  #status = SESSION_STATUS.PENDING;
  #errorInfo;
  #callbacks = new Callbacks();
  #socket = null;
  #url;
  #streams = new Map();
  #operations = new Map();
  #timers = [];
  #missedPings = 0;
  #onEnd;

  /** @param defaults `{constraints, logger}` of Flashphoner.init; @param onEnd called once, before the page hears of the end. */
  constructor(options, defaults, onEnd) {
    this.#options = options;
    this.#url = options.urlServer;
    this.#onEnd = onEnd;
    this.constraints = defaults.constraints;
    this.mediaOptions = options.mediaOptions;
    this.logger = new Logger(options.logger ?? defaults.logger);
    // After this tick, so that the page has its callbacks in place whatever happens.
    Promise.resolve().then(() => this.#start());
  }

  id() { return this.#id; }
  status() { return this.#status; }
  getServerUrl() { return this.#options.urlServer; }
  /** A sentence about why the session failed or ended; undefined while all is well. */
  getErrorInfo() { return this.#errorInfo; }
  getStream(id) { return this.#streams.get(id); }
  getStreams() { return [...this.#streams.values()]; }
  getLogger() { return this.logger; }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  createStream(options) {
    if (!this.isEstablished) throw new Error(ERROR_INFO.INVALID_SESSION_STATE + " (" + this.#status + ").");
    const stream = new Stream(this, options);
    this.adopt(stream);
    return stream;
  }

  createCall() {
    throw new Error("This SDK has no SIP calls.");
  }

  disconnect() {
    if (this.#isOver) return;
    this.#errorInfo = "The session was closed by this page.";
    if (this.#socket) this.#socket.close();
    else this.#end(SESSION_STATUS.DISCONNECTED);
  }

  /** Sends any JSON value to the server's application; settles with its answer. */
  sendData(payload) {
    return new Promise((resolve, reject) => {
      if (!this.isEstablished) return reject({ status: "FAILED", info: ERROR_INFO.INVALID_SESSION_STATE });
      const operationId = createUUID();
      const timer = setTimeout(() => this.#settle({ operationId, status: "FAILED", info: "The server gave no answer" }), DATA_CONFIRMATION);
      this.#operations.set(operationId, { resolve, reject, timer });
      this.send("sendData", { operationId, payload });
    });
  }

  submitBugReport(report) { this.send("submitBugReport", report); }

  startDebug() {
    this.logger.setPushLogs(true);
    this.logger.setLevel("DEBUG");
    this.send("sessionDebug", { command: "start" });
  }

  stopDebug() {
    this.logger.setPushLogs(false);
    this.logger.setLevel("WARN");
    this.send("sessionDebug", { command: "stop" });
  }

  // For streams.

  get isEstablished() { return this.#status === SESSION_STATUS.ESTABLISHED; }
  adopt(stream) { if (!this.#isOver) this.#streams.set(stream.id(), stream); }
  release(stream) { this.#streams.delete(stream.id()); }

  /** Sends one frame; does nothing when the socket is not open, since the loss itself is reported to everybody. */
  send(message, argument = null) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ message, data: [argument] }));
  }

  // Connecting.

  get #isOver() { return this.#status === SESSION_STATUS.FAILED || this.#status === SESSION_STATUS.DISCONNECTED; }

  async #start() {
    if (this.#isOver) return;
    if (this.#options.lbUrl) this.#url = await balancedUrl(this.#options.lbUrl, this.#url);
    if (this.#isOver) return;
    try {
      this.#socket = new WebSocket(this.#url);
    } catch (error) {
      const mixed = error.name === "SecurityError" && location.protocol === "https:";
      return this.#fail(mixed
        ? "A page opened over https:// can connect to wss:// addresses only, not to " + this.#url + "."
        : "\u201c" + this.#url + "\u201d is not a WebSocket address such as ws://host:8080 or wss://host:8443.");
    }
    const socket = this.#socket;
    let timeout;
    if (Number(this.#options.timeout) > 0) {
      timeout = setTimeout(() => {
        if (socket.readyState !== WebSocket.CONNECTING) return;
        this.#fail("No answer from " + this.#url + " within " + this.#options.timeout + " ms.");
      }, Number(this.#options.timeout));
    }
    socket.onopen = () => {
      clearTimeout(timeout);
      this.#opened();
    };
    socket.onmessage = ({ data }) => { if (typeof data === "string") this.#receive(data); };
    socket.onclose = () => {
      clearTimeout(timeout);
      if (this.#status === SESSION_STATUS.PENDING && !this.#errorInfo) this.#fail(this.#unreachable());
      else this.#end(SESSION_STATUS.DISCONNECTED, this.#errorInfo ?? "The connection to the server was lost.");
    };
    socket.onerror = () => {
      if (!this.#errorInfo) this.#fail(this.#status === SESSION_STATUS.PENDING ? this.#unreachable() : "The connection to the server broke.");
    };
  }

  #unreachable() {
    const certificate = /^wss:/.test(this.#url) ? " or its certificate is not trusted by this browser" : "";
    return "No connection to " + this.#url + ": no server answers there" + certificate + ".";
  }

  #opened() {
    this.logger.setSender((logs) => this.send("pushLogs", { logs }));
    this.#setStatus(SESSION_STATUS.CONNECTED);
    const { appKey = "defaultApp", keepAlive, authToken, custom } = this.#options;
    this.send("connection", {
      appKey,
      mediaProviders: ["WebRTC"],
      keepAlive,
      authToken,
      clientVersion: CLIENT_VERSION,
      clientOSVersion: navigator.appVersion,
      clientBrowserVersion: navigator.userAgent,
      msePacketizationVersion: 2,
      custom,
    });
    const { pingInterval, receiveProbes, probesInterval } = this.#options;
    if (Number(pingInterval) > 0) this.#timers.push(setInterval(() => this.send("ping"), Number(pingInterval)));
    if (Number(receiveProbes) > 0 && Number(probesInterval) > 0) {
      this.#timers.push(setInterval(() => {
        this.#missedPings += 1;
        if (this.#missedPings >= Number(receiveProbes)) this.#fail("The server has stopped answering.");
      }, Number(probesInterval)));
    }
  }

  // Messages.

  #receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return this.logger.warn("Session", "a frame that is not JSON was ignored");
    }
    const [first, second] = Array.isArray(frame?.data) ? frame.data : [];
    const about = first && typeof first === "object" ? first : {};
    const stream = this.#streams.get(about.mediaSessionId);
    switch (frame?.message) {
      case "ping":
        this.#missedPings = 0;
        return this.send("pong");
      case "getUserData":
        if (this.#isOver) return undefined;
        return this.#setStatus(SESSION_STATUS.ESTABLISHED, about);
      case "registered": return this.#callbacks.call(SESSION_STATUS.REGISTERED, this);
      case "setRemoteSDP": return this.#streams.get(first)?.receiveAnswer(second);
      case "notifyStreamStatusEvent":
      case "notifyVideoFormat": return stream?.receiveStatus(about);
      case "notifyStreamEvent": return stream?.receiveEvent(about);
      case "availableStream": return this.#streams.get(about.id)?.receiveAvailability(about);
      case "inboundVideoRate":
      case "outboundVideoRate": return stream?.receiveRate(about.videoRate);
      case "DataStatusEvent": return this.#settle(about);
      case "OnDataEvent": return this.#callbacks.call(SESSION_STATUS.APP_DATA, about);
      case "notifySessionDebugEvent": return this.#callbacks.call(SESSION_STATUS.DEBUG, about);
      case "fail":
        if (about.apiMethod === "StreamStatusEvent") this.#streams.get(about.id)?.receiveStatus(about);
        return this.#callbacks.call(SESSION_STATUS.WARN, about);
      default:
        return this.logger.debug("Session", "ignored", frame?.message);
    }
  }

  #settle({ operationId, ...outcome }) {
    const operation = this.#operations.get(operationId);
    if (!operation) return;
    this.#operations.delete(operationId);
    clearTimeout(operation.timer);
    if (outcome.status === "ACCEPTED") operation.resolve(outcome);
    else operation.reject(outcome);
  }

  #setStatus(status, ...values) {
    this.#status = status;
    this.#callbacks.call(status, this, ...values);
  }

  #fail(sentence) {
    this.#errorInfo = sentence;
    this.#end(SESSION_STATUS.FAILED, sentence);
    this.#socket?.close();
  }

  #end(status, sentence) {
    if (this.#isOver) return;
    this.#errorInfo = sentence ?? this.#errorInfo;
    this.#timers.forEach(clearInterval);
    this.logger.setSender(null);
    this.#status = status;
    this.#onEnd(this);
    // Streams hear of it first, so that a page sees them ended when it hears of the session.
    for (const stream of this.getStreams()) stream.receiveConnectionLoss(this.#errorInfo);
    this.#streams.clear();
    for (const operationId of [...this.#operations.keys()]) this.#settle({ operationId, status: "FAILED", info: this.#errorInfo });
    this.#callbacks.call(status, this);
  }
}

/** Asks a load balancer which node to use; without a usable answer it is the given one. */
async function balancedUrl(lbUrl, url) {
  try {
    const response = await fetch(lbUrl, { signal: AbortSignal.timeout(LOAD_BALANCER_ANSWER) });
    if (!response.ok) return url;
    const { server, ws, wss } = await response.json();
    if (!server) return url;
    return url.includes("wss://") ? "wss://" + server + ":" + wss : "ws://" + server + ":" + ws;
  } catch {
    return url;
  }
}

// sdk/flashphoner.js
// The door of the SDK: what pages import, or find as the global `Flashphoner` after loading /flashphoner.js.

const sessions = new Map();
const defaults = { constraints: undefined, logger: undefined };
let initialized = false;
let logger = new Logger();

/** Call once before anything else. Throws when the browser has no WebRTC. Options of other media providers are ignored. */
function init(options = {}) {
  if (typeof RTCPeerConnection === "undefined") throw new Error(constants.ERROR_INFO.NONE_OF_MEDIAPROVIDERS_AVAILABLE);
  defaults.constraints = options.constraints;
  defaults.logger = options.logger;
  logger = new Logger(options.logger);
  initialized = true;
  if (typeof options.mediaProvidersReadyCallback === "function") {
    options.mediaProvidersReadyCallback(getMediaProviders());
  }
}

function requireInit() {
  if (!initialized) throw new Error(constants.ERROR_INFO.FLASHPHONER_API_NOT_INITIALIZED);
}

/** Makes a session and starts connecting; hear of the outcome through `on`. */
function createSession(options) {
  requireInit();
  if (!options?.urlServer) throw new TypeError(constants.ERROR_INFO.OPTIONS_URLSERVER_MISSED);
  const session = new Session(options, defaults, (ended) => sessions.delete(ended.id()));
  sessions.set(session.id(), session);
  return session;
}

/** Sessions that have not ended. */
const getSessions = () => [...sessions.values()];
const getSession = (id) => sessions.get(id);
const getMediaProviders = () => (initialized ? ["WebRTC"] : []);

/** See `listDevices`; the first argument names a media provider in other SDKs and is ignored. */
function getMediaDevices(mediaProvider, labels, kind, deviceConstraints) {
  requireInit();
  return listDevices(labels, kind, deviceConstraints);
}

/** Captures and previews in `display` ahead of publishing there. Resolves with the display, rejects with a sentence. */
function getMediaAccess(constraints, display, mediaProvider, disableConstraintsNormalization) {
  requireInit();
  const wanted = constraints ?? defaults.constraints ?? { audio: true, video: true };
  return captureForDisplay(wanted, display, disableConstraintsNormalization === true);
}

/** Stops what was captured for `display`. True if there was anything. */
function releaseLocalMedia(display) {
  requireInit();
  return releaseLocal(display);
}

// Pages written for older browsers call these from a click before play(). play() itself makes use of the click here.
const playFirstSound = () => Promise.resolve();
const playFirstVideo = () => Promise.resolve();
const isUsingTemasys = () => false;
const firefoxScreenSharingExtensionInstalled = true;
const getLogger = () => logger;

/** Rooms; the global `RoomApi` of /flashphoner.js. */
const roomApi = makeRoomApi(createSession, () => Flashphoner);
const RoomApi = roomApi;


const Flashphoner = Object.freeze({
  init, createSession, getSessions, getSession, getMediaProviders, getMediaDevices, getMediaAccess, releaseLocalMedia,
  playFirstSound, playFirstVideo, isUsingTemasys, firefoxScreenSharingExtensionInstalled, getLogger, createUUID,
  Browser, constants, roomApi,
});

globalThis.Flashphoner = Flashphoner;
globalThis.RoomApi = RoomApi;
})();
