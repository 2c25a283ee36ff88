// SPDX-License-Identifier: Apache-2.0
// The Stream Recording page: publishes with `record: true`, waits until the server has finished the file, shows and offers it.
// `?streamName=` and `?urlServer=` set it up.
import Flashphoner from "/sdk/flashphoner.js";
import { $, fillServerUrl, freshName, isFilled, parameter, say, sessionWords, showFigures, streamWords } from "./common.js";
import { recordUrl, sizeText, timeText } from "./record-facts.js";

const { SESSION_STATUS, STREAM_STATUS, STREAM_EVENT, STREAM_EVENT_TYPE } = Flashphoner.constants;
// The page's own word while the server brings the file into its last form.
const PROCESSING = "PROCESSING";

let session = null;
let stream = null;
let isBusy = false;
let endFigures = null;

const tell = (status, sentence) => say($("status"), status, $("infoText"), sentence);

function update() {
  const isRecording = stream?.status() === STREAM_STATUS.PUBLISHING;
  $("publishBtn").textContent = isRecording ? "Stop" : "Start";
  $("publishBtn").classList.toggle("main", !isRecording);
  $("publishBtn").disabled = isBusy;
  $("urlServer").disabled = $("streamName").disabled = stream !== null;
}

function onStopped(status, sentence) {
  endFigures?.();
  endFigures = null;
  stream = null;
  isBusy = false;
  tell(status, sentence);
  update();
}

function publish() {
  const made = session.createStream({
    name: $("streamName").value.trim(), display: $("localVideo"), record: true, cacheLocalResources: false, receiveVideo: false,
    receiveAudio: false,
  });
  stream = made;
  // Why the recording has ended before the stream.
  let stopped = "";
  const onEnd = (words) => {
    const name = made.getRecordInfo();
    const sentence = [words, stopped].filter(Boolean).join(" ");
    onStopped(made.status(), name ? sentence : [sentence, "The server has not recorded it."].filter(Boolean).join(" "));
    if (name) show(name);
  };
  made.on(STREAM_STATUS.PUBLISHING, () => {
    isBusy = false;
    tell(STREAM_STATUS.PUBLISHING, stopped ? stopped + " The stream goes on." : "Recording. Press Stop when you are done.");
    endFigures = showFigures(made, $("figures"));
    update();
  })
    .on(STREAM_EVENT, ({ type, payload }) => {
      if (type !== STREAM_EVENT_TYPE.RECORDING_STOPPED) return;
      stopped = "The recording has ended early: " + payload.info + ".";
      tell(made.status(), stopped + " The stream goes on.");
    })
    .on(STREAM_STATUS.UNPUBLISHED, () => onEnd(""))
    .on(STREAM_STATUS.FAILED, () => onEnd(streamWords(made, "The stream failed.")))
    .publish();
  tell(STREAM_STATUS.PENDING, "Starting…");
  update();
}

async function start() {
  isBusy = true;
  update();
  await addressReady;
  const url = $("urlServer").value.trim();
  if (session?.status() === SESSION_STATUS.ESTABLISHED && session.getServerUrl() === url) return publish();
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
    onStopped(opened.status(), sentence);
  };
  opened.on(SESSION_STATUS.ESTABLISHED, () => {
    opened.wasEstablished = true;
    publish();
  })
    .on(SESSION_STATUS.DISCONNECTED, () => onEnd(opened.getErrorInfo()))
    .on(SESSION_STATUS.FAILED, () => onEnd(sessionWords(opened)));
}

function stop() {
  isBusy = true;
  tell(PROCESSING, "The server is finishing the file…");
  update();
  stream.stop();
}

async function show(name) {
  const url = recordUrl(name);
  $("link").href = url;
  $("link").download = name;
  $("downloadDiv").hidden = false;
  $("recVideo").src = url;
  $("recVideo").hidden = false;
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  const size = Number(answer?.headers.get("content-length"));
  $("recordFigures").textContent = [name, size > 0 ? sizeText(size) : ""].filter(Boolean).join(" · ");
}

$("recVideo").addEventListener("loadedmetadata", () => {
  if (Number.isFinite($("recVideo").duration)) $("recordFigures").textContent += " · " + timeText($("recVideo").duration * 1000);
});
$("recVideo").addEventListener("error", () => tell(STREAM_STATUS.FAILED, "This browser can't play the file; download it to watch it."));
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (stream?.status() === STREAM_STATUS.PUBLISHING) return stop();
  if (isFilled($("urlServer"), $("streamName"))) start();
});

const addressReady = fillServerUrl($("urlServer"));
$("streamName").value = parameter("streamName") ?? freshName();
try {
  Flashphoner.init();
  update();
} catch (error) {
  tell(STREAM_STATUS.FAILED, error.message + ", which this page needs.");
  $("publishBtn").disabled = true;
}
