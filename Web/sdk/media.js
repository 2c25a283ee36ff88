// SPDX-License-Identifier: Apache-2.0
// Cameras, microphones and screens: turns WCS constraints into the browser's, captures, and says in words why it could not.
// Called by Stream when it publishes and by Flashphoner.getMediaAccess/getMediaDevices.

/** Was the screen asked for rather than a camera? */
export const wantsScreen = (constraints) => constraints?.video?.type === "screen";

/**
 * Captures what `constraints` ask for: `{audio, video}` in the WCS form (`video.type: "screen"`, device ids as plain strings,
 * numbers as strings) or `{customStream: MediaStream}`. Rejects with an Error whose message is a sentence for the user.
 */
export async function capture(constraints, { asIs = false } = {}) {
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

export function stopTracks(media) {
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
export async function listDevices(labels, kind = "INPUT", constraints = { audio: true, video: true }) {
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
