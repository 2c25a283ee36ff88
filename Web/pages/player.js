// SPDX-License-Identifier: Apache-2.0
// The Player page: one stream from one server. `?streamName=`, `?urlServer=`, `?autoplay=true` and `?resolution=640x360` set it up,
// so that a link can start it.
import Flashphoner from "/sdk/flashphoner.js";
import { $, fillServerUrl, isFilled, offerSound, parameter, say, sessionWords, showFigures, streamWords } from "./common.js";

const { SESSION_STATUS, STREAM_STATUS, STREAM_EVENT, STREAM_EVENT_TYPE } = Flashphoner.constants;

let session = null;
let stream = null;
// A start is under way or a stream is playing.
let isStarted = false;
let endFigures = () => {};

const tell = (status, sentence) => say($("status"), status, $("infoText"), sentence);

function update() {
  $("playBtn").textContent = isStarted ? "Stop" : "Start";
  $("playBtn").classList.toggle("main", !isStarted);
  $("urlServer").disabled = isStarted;
  $("streamName").disabled = isStarted;
  $("fullScreenBtn").disabled = stream?.status() !== STREAM_STATUS.PLAYING;
}

function onStopped(status, sentence) {
  endFigures();
  stream = null;
  isStarted = false;
  $("soundBtn").hidden = true;
  tell(status, sentence);
  update();
}

async function start() {
  if (!isFilled($("urlServer"), $("streamName"))) return;
  isStarted = true;
  update();
  await addressReady;
  const url = $("urlServer").value.trim();
  if (!isStarted) return;
  if (session && session.getServerUrl() === url && session.status() === SESSION_STATUS.ESTABLISHED) return play();
  const former = session;
  session = null;
  former?.disconnect();
  connect(url);
}

function connect(url) {
  const opened = Flashphoner.createSession({ urlServer: url });
  session = opened;
  tell(SESSION_STATUS.PENDING, "Connecting to " + url + "…");
  const onEnd = (sentence) => {
    // An earlier session, left for another server, ends in silence.
    if (session !== opened) return;
    session = null;
    onStopped(opened.status(), sentence);
  };
  opened.on(SESSION_STATUS.ESTABLISHED, () => {
    opened.wasEstablished = true;
    tell(SESSION_STATUS.ESTABLISHED, "Connected.");
    if (isStarted) play();
  })
    .on(SESSION_STATUS.DISCONNECTED, () => onEnd(opened.getErrorInfo()))
    .on(SESSION_STATUS.FAILED, () => onEnd(sessionWords(opened)));
}

function play() {
  const options = { name: $("streamName").value.trim(), display: $("remoteVideo") };
  const size = /^(\d+)x(\d+)$/.exec(parameter("resolution") ?? "");
  if (size) Object.assign(options, { playWidth: Number(size[1]), playHeight: Number(size[2]) });
  const opened = session.createStream(options);
  stream = opened;
  opened.on(STREAM_STATUS.PLAYING, () => {
    tell(STREAM_STATUS.PLAYING, "Playing “" + opened.name() + "”.");
    opened.setVolume($("volumeControl").value);
    endFigures();
    endFigures = showFigures(opened, $("figures"));
    update();
  })
    .on(STREAM_STATUS.STOPPED, () => onStopped(STREAM_STATUS.STOPPED, streamWords(opened, "Stopped.")))
    .on(STREAM_STATUS.FAILED, () => onStopped(STREAM_STATUS.FAILED, streamWords(opened, "The stream failed.")))
    .on(STREAM_EVENT, ({ type }) => {
      if (type === STREAM_EVENT_TYPE.NOT_ENOUGH_BANDWIDTH) $("infoText").textContent = "The network is too slow for this stream.";
      if (type === STREAM_EVENT_TYPE.PLAYBACK_MUTED || type === STREAM_EVENT_TYPE.PLAYBACK_BLOCKED) offerSound(opened, $("soundBtn"));
    })
    .play();
  tell(STREAM_STATUS.PENDING, "Asking the server for the stream…");
  update();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isStarted) return start();
  if (stream) return stream.stop();
  // Still connecting.
  if (session) session.disconnect();
  else onStopped(STREAM_STATUS.STOPPED, "Stopped.");
});
$("volumeControl").addEventListener("input", () => {
  stream?.setVolume($("volumeControl").value);
  if (!$("soundBtn").hidden) $("soundBtn").click();
});
$("fullScreenBtn").addEventListener("click", () => stream?.fullScreen());

const addressReady = fillServerUrl($("urlServer"));
$("streamName").value = parameter("streamName") ?? "";
try {
  Flashphoner.init();
  update();
  if (parameter("autoplay") === "true") start();
} catch (error) {
  tell(STREAM_STATUS.FAILED, error.message + ", which this page needs.");
  $("playBtn").disabled = true;
}
