// SPDX-License-Identifier: Apache-2.0
// The Records page: lists what has been recorded and what is being recorded now, plays and offers it. `?play=` opens one at once.
import { $, parameter, say } from "./common.js";
import { recordUrl, sizeText, timeText } from "./record-facts.js";

const PERIOD = 5000;
let shown = "";

const ask = async (path) => {
  const response = await fetch("/rest-api/" + path, { signal: AbortSignal.timeout(5000) });
  if (response.status === 404) return [];
  if (!response.ok) throw new Error("HTTP " + response.status);
  return response.json();
};

function facts(record) {
  return [
    record.streamName ? "stream " + record.streamName : "",
    record.startTime ? new Date(record.startTime).toLocaleString() : "",
    record.duration ? timeText(record.duration) : "",
    sizeText(record.size),
    record.width ? record.width + " × " + record.height : "",
    [record.videoCodec, record.audioCodec].filter(Boolean).join(" + "),
    record.room ? "room " + record.room : "",
    record.participants.length ? record.participants.join(", ") : "",
    record.mixedFrom ? "mixed from " + record.mixedFrom : "",
  ].filter(Boolean).join(" · ");
}

function row(record) {
  const item = $("recordRow").content.cloneNode(true).firstElementChild;
  item.querySelector(".name").textContent = record.fileName;
  item.querySelector(".facts").textContent = facts(record);
  const image = item.querySelector(".thumbnail");
  if (record.width > 0) {
    image.src = "/rest-api/record/thumbnail/" + encodeURIComponent(record.fileName);
    image.onload = () => { image.hidden = false; };
  }
  item.querySelector(".play").addEventListener("click", () => play(record.fileName));
  const link = item.querySelector("a");
  link.href = recordUrl(record.fileName);
  link.download = record.fileName;
  return item;
}

function runningRow({ fileName }) {
  const item = document.createElement("li");
  const what = document.createElement("div");
  what.className = "what";
  what.append(Object.assign(document.createElement("div"), { className: "name", textContent: fileName }));
  what.append(Object.assign(document.createElement("div"), { className: "facts", textContent: "Being recorded" }));
  item.append(what);
  return item;
}

function play(name) {
  $("player").hidden = false;
  $("playerTitle").textContent = name;
  $("playerWords").textContent = "";
  $("video").src = recordUrl(name);
  $("video").play().catch(() => {});
  $("player").scrollIntoView({ block: "start" });
}

async function refresh() {
  try {
    const [records, running] = await Promise.all([ask("record/find_all"), ask("recorder/find_all")]);
    const now = JSON.stringify([records, running]);
    // A list that stays the same keeps its rows, and with them focus and pictures.
    if (now !== shown) {
      shown = now;
      $("records").replaceChildren(...records.map(row));
      $("running").replaceChildren(...running.map(runningRow));
      $("noRecords").hidden = records.length + running.length > 0;
    }
    const bytes = records.reduce((sum, record) => sum + record.size, 0);
    say($("status"), "", $("infoText"), records.length ? records.length + " files, " + sizeText(bytes) : "");
  } catch (error) {
    say($("status"), "NO ANSWER", $("infoText"), "The server does not answer: " + error.message);
  }
  setTimeout(refresh, PERIOD);
}

$("video").addEventListener("error", () => {
  if ($("video").getAttribute("src")) $("playerWords").textContent = "This browser can't play the file; download it to watch it.";
});
$("closeBtn").addEventListener("click", () => {
  $("video").removeAttribute("src");
  $("video").load();
  $("player").hidden = true;
});
refresh();
if (parameter("play")) play(parameter("play"));
