// SPDX-License-Identifier: Apache-2.0
// What the pages share: the server's address, status words, form checks, figures of a stream.
import { constants } from "/sdk/flashphoner.js";

const { STREAM_STATUS_INFO } = constants;
export const $ = (id) => document.getElementById(id);
export const parameter = (name) => new URLSearchParams(location.search).get(name);

const isSecure = location.protocol === "https:";
const urlWith = ({ ws = 8080, wss = 8443 } = {}) => {
  const host = location.hostname || "localhost";
  return isSecure ? "wss://" + host + ":" + wss : "ws://" + host + ":" + ws;
};

/** Ports and version as the server tells them; null when it doesn't. */
export async function serverInfo() {
  try {
    const response = await fetch("/rest-api/server/info", { signal: AbortSignal.timeout(3000) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * Puts the signalling address into `field`: `?urlServer=`, else the usual port on this host, corrected by the server itself
 * where the page came from an unusual port. Resolves once the address is final; what the user typed meanwhile stays.
 */
export async function fillServerUrl(field) {
  const given = parameter("urlServer");
  field.value = given || urlWith();
  if (given || location.port === (isSecure ? "8444" : "8081")) return;
  const guess = field.value;
  const info = await serverInfo();
  if (info && field.value === guess) field.value = urlWith({ ws: info.ws ?? undefined, wss: info.wss ?? undefined });
}

const TONES = {
  ESTABLISHED: "good", SNAPSHOT_COMPLETE: "good", PUBLISHING: "good", PLAYING: "good", AVAILABLE: "good", RUNNING: "good",
  FAILED: "bad", UNAVAILABLE: "bad", "NO ANSWER": "bad",
  PENDING: "busy", CONNECTED: "busy", PROCESSING: "busy", LOADING: "busy", PLAYBACK_PROBLEM: "busy",
};

/** Shows the protocol's word as a chip and the human sentence beside it. */
export function say(chip, status, words, sentence = "") {
  chip.textContent = status;
  chip.dataset.tone = TONES[status] ?? "idle";
  words.textContent = sentence;
}

/** Marks the first empty field of a form and puts the focus there. True when none is empty. */
export function isFilled(...fields) {
  let first = null;
  for (const field of fields) {
    const isEmpty = field.value.trim() === "";
    field.setAttribute("aria-invalid", String(isEmpty));
    if (isEmpty) first ??= field;
  }
  first?.focus();
  return first === null;
}

/** Why a session failed, with what to do about a certificate that the browser has not been told to trust. */
export function sessionWords(session) {
  const sentence = session.getErrorInfo() ?? "The connection failed.";
  const secure = /^wss:\/\/([^/]+)/.exec(session.getServerUrl());
  if (!secure || session.wasEstablished) return sentence;
  return sentence + " If the server made its own certificate, open https://" + secure[1] + "/ once and accept it.";
}

const REASONS = {
  [STREAM_STATUS_INFO.SESSION_DOES_NOT_EXIST]: "Nobody publishes a stream of this name.",
  [STREAM_STATUS_INFO.STREAM_NOT_FOUND]: "Nobody publishes a stream of this name.",
  [STREAM_STATUS_INFO.STOPPED_BY_PUBLISHER_STOP]: "The publisher stopped or lost the connection.",
  [STREAM_STATUS_INFO.STREAM_NAME_ALREADY_IN_USE]: "A stream of this name is being published already. Choose another name.",
  [STREAM_STATUS_INFO.PUBLISH_STREAM_IS_NOT_READY]: "The stream has only just begun. Try again in a moment.",
  [STREAM_STATUS_INFO.STOPPED_BY_USER]: "Stopped.",
  [STREAM_STATUS_INFO.STOPPED_BY_REST_TERMINATE]: "The stream was ended from the server.",
  [STREAM_STATUS_INFO.STOPPED_BY_SESSION_DISCONNECT]: "The session was closed.",
  [STREAM_STATUS_INFO.SESSION_NOT_READY]: "The server was not ready for this session yet. Try again.",
  [STREAM_STATUS_INFO.FAILED_BY_ICE_TIMEOUT]: "No media path to the server was found in time. A firewall may block UDP.",
  [STREAM_STATUS_INFO.FAILED_BY_ICE_ERROR]: "No media path to the server was found. A firewall may block UDP.",
  [STREAM_STATUS_INFO.FAILED_BY_KEEP_ALIVE]: "The media path to the server was lost.",
  [STREAM_STATUS_INFO.FAILED_BY_DTLS_ERROR]: "The encryption of the media could not be agreed on.",
  [STREAM_STATUS_INFO.FAILED_BY_DTLS_FINGERPRINT_ERROR]: "The encryption of the media could not be agreed on: wrong fingerprint.",
  [STREAM_STATUS_INFO.FAILED_BY_RTP_ACTIVITY]: "No media reached the server for too long.",
  [STREAM_STATUS_INFO.NO_COMMON_CODECS]: "This browser and the stream have no codec in common.",
  [STREAM_STATUS_INFO.RESTRICTED_ACCESS]: "The server does not allow this.",
  [STREAM_STATUS_INFO.TRANSCODING_REQUIRED_BUT_DISABLED]: "The server does not convert streams to another size or rate.",
  [STREAM_STATUS_INFO.NO_AVAILABLE_TRANSCODERS]: "The server has no capacity left to convert the stream.",
  [STREAM_STATUS_INFO.FAILED_TO_ADD_STREAM_TO_PROXY]: "The server could not set the stream up.",
};

/** Why a stream ended, in words; the server's own text where there are none for it. */
export function streamWords(stream, fallback) {
  if (stream.getErrorInfo()) return stream.getErrorInfo();
  const info = stream.getInfo();
  return REASONS[info] ?? (info ? "The server says: " + info + "." : fallback);
}

/** A name that is unlikely to be taken. */
export const freshName = () => Array.from(crypto.getRandomValues(new Uint8Array(2)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Shows picture size, frames and rate of `stream` in `place`, once a second. Returns what ends it. */
export function showFigures(stream, place) {
  const side = stream.published() ? "outboundStream" : "inboundStream";
  let last = null;
  const timer = setInterval(async () => {
    const { audio = {}, video = {} } = (await stream.getStats())[side] ?? {};
    const bytes = (audio.bytesSent ?? audio.bytesReceived ?? 0) + (video.bytesSent ?? video.bytesReceived ?? 0);
    const now = performance.now();
    const parts = [];
    if (video.frameWidth) parts.push(video.frameWidth + " × " + video.frameHeight);
    if (video.framesPerSecond) parts.push(Math.round(video.framesPerSecond) + " fps");
    if (last) parts.push(Math.max(0, Math.round((bytes - last.bytes) * 8 / (now - last.now))) + " kbit/s");
    const codecs = [video.codec, audio.codec].filter(Boolean).join(" + ");
    if (codecs) parts.push(codecs);
    if (!stream.published() && video.packetsLost > 0) parts.push(video.packetsLost + " packets lost");
    last = { bytes, now };
    place.textContent = parts.join(" · ");
  }, 1000);
  return () => {
    clearInterval(timer);
    place.textContent = "";
  };
}

/** Shows `button` while the browser keeps `stream` silent, or still, for want of a click. */
export function offerSound(stream, button) {
  button.hidden = false;
  button.onclick = () => {
    stream.unmuteRemoteAudio();
    button.hidden = true;
  };
}
