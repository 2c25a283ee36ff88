// SPDX-License-Identifier: Apache-2.0
// The Stream Snapshot page: publishes a stream, takes pictures of it (or of any stream that is on air), shows and saves them.
// `?streamName=` and `?urlServer=` set it up.
import Flashphoner from "/sdk/flashphoner.js";
import { $, fillServerUrl, freshName, isFilled, parameter, say, sessionWords, streamWords } from "./common.js";

const { SESSION_STATUS, STREAM_STATUS, STREAM_STATUS_INFO } = Flashphoner.constants;

let session = null;
let publisher = null;
// What is to be done once the session is there.
let waiting = null;
let isTaking = false;

const tell = (status, sentence) => say($("status"), status, $("infoText"), sentence);
const tellPicture = (status, sentence) => say($("snapshotStatus"), status, $("snapshotInfo"), sentence);

function update() {
  $("publishBtn").textContent = publisher ? "Stop" : "Publish";
  $("publishBtn").classList.toggle("main", !publisher);
  $("snapshotBtn").classList.toggle("main", publisher?.status() === STREAM_STATUS.PUBLISHING);
  $("snapshotBtn").disabled = isTaking;
  $("urlServer").disabled = session !== null && publisher !== null;
  $("streamName").disabled = publisher !== null;
}

/** Runs `action` on an established session with the server that the form names. */
async function withSession(action) {
  await addressReady;
  const url = $("urlServer").value.trim();
  if (session?.status() === SESSION_STATUS.ESTABLISHED && session.getServerUrl() === url) return action();
  waiting = action;
  if (session && session.getServerUrl() === url) return;
  const former = session;
  session = null;
  former?.disconnect();
  const opened = Flashphoner.createSession({ urlServer: url });
  session = opened;
  tell(SESSION_STATUS.PENDING, "Connecting to " + url + "…");
  const onEnd = (sentence) => {
    // An earlier session, left for another server, ends in silence.
    if (session !== opened) return;
    session = null;
    waiting = null;
    publisher = null;
    if (isTaking) onTaken(STREAM_STATUS.FAILED, "The connection to the server was lost.");
    tell(opened.status(), sentence);
    update();
  };
  opened.on(SESSION_STATUS.ESTABLISHED, () => {
    opened.wasEstablished = true;
    tell(SESSION_STATUS.ESTABLISHED, "Connected.");
    const next = waiting;
    waiting = null;
    next?.();
    update();
  })
    .on(SESSION_STATUS.DISCONNECTED, () => onEnd(opened.getErrorInfo()))
    .on(SESSION_STATUS.FAILED, () => onEnd(sessionWords(opened)));
}

// Publishing

function publish() {
  const stream = session.createStream({
    name: $("streamName").value.trim(), display: $("localVideo"), cacheLocalResources: true, receiveVideo: false, receiveAudio: false,
  });
  publisher = stream;
  const onEnd = (sentence) => {
    if (publisher === stream) publisher = null;
    tell(stream.status(), sentence);
    update();
  };
  stream.on(STREAM_STATUS.PUBLISHING, () => {
    tell(STREAM_STATUS.PUBLISHING, "On air as “" + stream.name() + "”.");
    update();
  })
    .on(STREAM_STATUS.UNPUBLISHED, () => onEnd("Stopped."))
    .on(STREAM_STATUS.FAILED, () => onEnd(streamWords(stream, "Publishing failed.")))
    .publish();
  tell(STREAM_STATUS.PENDING, "Starting…");
  update();
}

// Pictures

function onTaken(status, sentence) {
  isTaking = false;
  tellPicture(status, sentence);
  update();
}

function take() {
  const name = $("streamName").value.trim();
  const start = performance.now();
  // A stream object for the picture alone, as the server looks the stream up by its name.
  session.createStream({ name }).on(STREAM_STATUS.SNAPSHOT_COMPLETE, (stream) => {
    show(name, stream.getInfo(), Math.round(performance.now() - start));
    stream.stop();
  }).on(STREAM_STATUS.FAILED, (stream) => {
    const isUnknown = stream.getInfo() === STREAM_STATUS_INFO.STREAM_NOT_FOUND;
    onTaken(STREAM_STATUS.FAILED, isUnknown ? "Nobody publishes a stream of this name." : streamWords(stream, "No picture could be taken."));
  }).snapshot();
}

function show(name, base64, milliseconds) {
  const image = $("snapshotImg");
  const address = "data:image/png;base64," + base64;
  image.onload = () => {
    $("pictureFigures").textContent = image.naturalWidth + " × " + image.naturalHeight + " · "
      + Math.round(base64.length * 3 / 4096) + " kB · " + milliseconds + " ms · " + new Date().toLocaleTimeString();
  };
  image.src = address;
  image.alt = "What " + name + " showed when the picture was taken";
  image.hidden = false;
  $("saveLink").href = address;
  $("saveLink").download = name.replace(/[^\w.-]+/g, "_") + ".png";
  $("saveLink").hidden = false;
  onTaken(STREAM_STATUS.SNAPSHOT_COMPLETE, "");
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (publisher) return publisher.stop();
  if (isFilled($("urlServer"), $("streamName"))) withSession(publish);
});
$("snapshotBtn").addEventListener("click", () => {
  if (isTaking || !isFilled($("urlServer"), $("streamName"))) return;
  isTaking = true;
  tellPicture(STREAM_STATUS.PENDING, "Taking a picture…");
  update();
  withSession(take);
});

const addressReady = fillServerUrl($("urlServer"));
$("streamName").value = parameter("streamName") ?? freshName();
try {
  Flashphoner.init();
  update();
} catch (error) {
  tell(STREAM_STATUS.FAILED, error.message + ", which this page needs.");
  $("publishBtn").disabled = $("snapshotBtn").disabled = true;
}
