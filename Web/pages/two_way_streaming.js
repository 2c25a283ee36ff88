// SPDX-License-Identifier: Apache-2.0
// The Two Way Streaming page: one session, one published and one played stream at a time.
import Flashphoner from "/sdk/flashphoner.js";
import { $, fillServerUrl, freshName, isFilled, offerSound, parameter, say, sessionWords, showFigures, streamWords } from "./common.js";

const { SESSION_STATUS, STREAM_STATUS, STREAM_EVENT, STREAM_EVENT_TYPE } = Flashphoner.constants;

let session = null;
let publisher = null;
let player = null;
let endPublishFigures = () => {};
let endPlayFigures = () => {};
const isConnected = () => session?.status() === SESSION_STATUS.ESTABLISHED;

/** Brings every button and field in line with what is going on. */
function update() {
  const isOpen = session !== null;
  $("connectBtn").textContent = isConnected() ? "Disconnect" : isOpen ? "Cancel" : "Connect";
  $("connectBtn").classList.toggle("main", !isOpen);
  $("urlServer").disabled = isOpen;

  const isPublishing = publisher?.status() === STREAM_STATUS.PUBLISHING;
  $("publishBtn").textContent = publisher ? "Stop" : "Publish";
  $("publishBtn").classList.toggle("main", !publisher);
  $("publishBtn").disabled = !isConnected();
  $("publishStream").disabled = $("publishSource").disabled = publisher !== null || !isConnected();
  for (const [button, kind, off, on] of [
    [$("muteAudioBtn"), "Audio", "Mute sound", "Unmute sound"],
    [$("muteVideoBtn"), "Video", "Hide picture", "Show picture"],
  ]) {
    const has = isPublishing && publisher["has" + kind]();
    const isMuted = has && publisher["is" + kind + "Muted"]();
    button.disabled = !has;
    button.setAttribute("aria-pressed", String(isMuted));
    button.textContent = isMuted ? on : off;
  }
  $("dataText").disabled = !isPublishing;
  $("sendDataBtn").disabled = !isPublishing;

  $("playBtn").textContent = player ? "Stop" : "Play";
  $("playBtn").classList.toggle("main", !player);
  $("playBtn").disabled = !isConnected();
  $("availableBtn").disabled = !isConnected();
  $("playStream").disabled = player !== null || !isConnected();
}

// Connection

const sayConnection = (status, sentence) => say($("connectStatus"), status, $("connectInfo"), sentence);

async function connect() {
  await addressReady;
  if (session || !isFilled($("urlServer"))) return;
  const opened = Flashphoner.createSession({ urlServer: $("urlServer").value.trim() });
  session = opened;
  sayConnection(SESSION_STATUS.PENDING, "Connecting…");
  const onEnd = (sentence) => {
    if (session === opened) session = null;
    sayConnection(opened.status(), sentence);
    update();
  };
  opened.on(SESSION_STATUS.CONNECTED, () => sayConnection(SESSION_STATUS.CONNECTED, "Waiting for the server's greeting…"))
    .on(SESSION_STATUS.ESTABLISHED, () => {
      opened.wasEstablished = true;
      sayConnection(SESSION_STATUS.ESTABLISHED, "Connected. You can publish and play.");
      update();
    })
    .on(SESSION_STATUS.WARN, (warning) => {
      if (warning.apiMethod !== "StreamStatusEvent" && warning.info) $("connectInfo").textContent = "The server says: " + warning.info;
    })
    .on(SESSION_STATUS.DISCONNECTED, () => onEnd(opened.getErrorInfo()))
    .on(SESSION_STATUS.FAILED, () => onEnd(sessionWords(opened)));
  update();
}

$("connectionForm").addEventListener("submit", (event) => {
  event.preventDefault();
  if (session) session.disconnect();
  else connect();
});

// Publishing

const sayPublish = (status, sentence) => say($("publishStatus"), status, $("publishInfo"), sentence);
const SOURCES = {
  camera: { audio: true, video: true },
  audio: { audio: true, video: false },
  screen: { audio: true, video: { type: "screen" } },
};

function publish() {
  if (!isFilled($("publishStream"))) return;
  const stream = session.createStream({
    name: $("publishStream").value.trim(),
    display: $("localVideo"),
    cacheLocalResources: false,
    receiveVideo: false,
    receiveAudio: false,
    constraints: SOURCES[$("publishSource").value],
  });
  publisher = stream;
  const onEnd = (sentence) => {
    endPublishFigures();
    publisher = null;
    sayPublish(stream.status(), sentence);
    update();
  };
  stream.on(STREAM_STATUS.PUBLISHING, () => {
    sayPublish(STREAM_STATUS.PUBLISHING, "On air as “" + stream.name() + "”.");
    endPublishFigures = showFigures(stream, $("publishFigures"));
    update();
  })
    .on(STREAM_STATUS.UNPUBLISHED, () => onEnd(streamWords(stream, "Stopped.")))
    .on(STREAM_STATUS.FAILED, () => onEnd(streamWords(stream, "The stream failed.")))
    .publish();
  sayPublish(STREAM_STATUS.PENDING, "Opening the source and waiting for the server…");
  update();
}

$("streamerForm").addEventListener("submit", (event) => {
  event.preventDefault();
  if (publisher) publisher.stop();
  else if (isConnected()) publish();
});
$("muteAudioBtn").addEventListener("click", () => {
  if (publisher.isAudioMuted()) publisher.unmuteAudio();
  else publisher.muteAudio();
  update();
});
$("muteVideoBtn").addEventListener("click", () => {
  if (publisher.isVideoMuted()) publisher.unmuteVideo();
  else publisher.muteVideo();
  update();
});
$("dataForm").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("dataText").value.trim();
  if (!text || publisher?.status() !== STREAM_STATUS.PUBLISHING) return;
  publisher.sendData({ text });
  $("dataText").value = "";
});

// Playing

const sayPlay = (status, sentence) => say($("playStatus"), status, $("playInfo"), sentence);
const NEWS = {
  [STREAM_EVENT_TYPE.AUDIO_MUTED]: "The publisher has muted the sound.",
  [STREAM_EVENT_TYPE.AUDIO_UNMUTED]: "The publisher's sound is back.",
  [STREAM_EVENT_TYPE.VIDEO_MUTED]: "The publisher has hidden the picture.",
  [STREAM_EVENT_TYPE.VIDEO_UNMUTED]: "The publisher's picture is back.",
  [STREAM_EVENT_TYPE.NOT_ENOUGH_BANDWIDTH]: "The network is too slow for this stream.",
};

function onStreamEvent(stream, event) {
  if (NEWS[event.type]) $("playInfo").textContent = NEWS[event.type];
  if (event.type === STREAM_EVENT_TYPE.DATA) showMessage(event.payload);
  if (event.type === STREAM_EVENT_TYPE.PLAYBACK_MUTED || event.type === STREAM_EVENT_TYPE.PLAYBACK_BLOCKED) offerSound(stream, $("soundBtn"));
}

function showMessage(payload) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  item.append(time, typeof payload?.text === "string" ? payload.text : JSON.stringify(payload));
  $("messages").hidden = false;
  $("messageList").prepend(item);
  while ($("messageList").childElementCount > 50) $("messageList").lastElementChild.remove();
}

function mutedWords(stream) {
  const muted = [stream.getAudioState()?.muted && "the sound", stream.getVideoState()?.muted && "the picture"].filter(Boolean);
  return muted.length > 0 ? " The publisher has switched off " + muted.join(" and ") + "." : "";
}

function play() {
  if (!isFilled($("playStream"))) return;
  const stream = session.createStream({ name: $("playStream").value.trim(), display: $("remoteVideo") });
  player = stream;
  const onEnd = (sentence) => {
    endPlayFigures();
    player = null;
    $("soundBtn").hidden = true;
    sayPlay(stream.status(), sentence);
    update();
  };
  stream.on(STREAM_STATUS.PLAYING, () => {
    sayPlay(STREAM_STATUS.PLAYING, "Playing “" + stream.name() + "”." + mutedWords(stream));
    endPlayFigures();
    endPlayFigures = showFigures(stream, $("playFigures"));
    update();
  })
    .on(STREAM_STATUS.STOPPED, () => onEnd(streamWords(stream, "Stopped.")))
    .on(STREAM_STATUS.FAILED, () => onEnd(streamWords(stream, "The stream failed.")))
    .on(STREAM_STATUS.PLAYBACK_PROBLEM, () => sayPlay(STREAM_STATUS.PLAYBACK_PROBLEM, "The playback has stumbled."))
    .on(STREAM_EVENT, (event) => onStreamEvent(stream, event))
    .play();
  sayPlay(STREAM_STATUS.PENDING, "Asking the server for the stream…");
  update();
}

function askAvailable() {
  if (!isFilled($("playStream"))) return;
  const name = $("playStream").value.trim();
  const sayIt = (status, sentence) => say($("availableStatus"), status, $("availableInfo"), sentence);
  session.createStream({ name, display: $("remoteVideo") }).available().then(
    () => sayIt("AVAILABLE", "“" + name + "” can be played."),
    (stream) => sayIt("UNAVAILABLE", streamWords(stream, "“" + name + "” can't be played.")),
  );
}

$("playerForm").addEventListener("submit", (event) => {
  event.preventDefault();
  if (player) player.stop();
  else if (isConnected()) play();
});
$("availableBtn").addEventListener("click", askAvailable);

// Start

const addressReady = fillServerUrl($("urlServer"));
const name = parameter("streamName") || freshName();
$("publishStream").value = name;
$("playStream").value = name;
try {
  Flashphoner.init();
  $("connectInfo").textContent = "Not connected.";
} catch (error) {
  sayConnection(SESSION_STATUS.FAILED, error.message + ", which this page needs.");
}
update();
