// SPDX-License-Identifier: Apache-2.0
// The overview: what the server says about itself and which streams it has, asked every few seconds while the page is seen.
import { $, say, serverInfo } from "./common.js";

const PERIOD = 3000;

/** The server's media sessions, an empty list when it has none (it says 404 then), null when it doesn't answer. */
async function findAll() {
  try {
    const response = await fetch("/rest-api/stream/find_all", { signal: AbortSignal.timeout(4000) });
    if (response.status === 404) return [];
    const list = response.ok ? await response.json() : null;
    return Array.isArray(list) ? list : null;
  } catch {
    return null;
  }
}

function since(milliseconds) {
  const seconds = Math.max(0, Math.round((Date.now() - milliseconds) / 1000));
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  return Math.floor(seconds / 3600) + " h " + Math.floor(seconds % 3600 / 60) + " min";
}

function facts(stream, players) {
  const parts = [];
  if (stream.width > 0 && stream.height > 0) parts.push(stream.width + " × " + stream.height);
  const codecs = [stream.videoCodec, stream.audioCodec].filter(Boolean).join(" + ");
  if (codecs) parts.push(codecs);
  parts.push(players === 1 ? "1 player" : players + " players");
  if (stream.createDate > 0) parts.push("for " + since(stream.createDate));
  if (stream.status && stream.status !== "PUBLISHING") parts.push(stream.status);
  return parts.join(" · ");
}

const rows = new Map();

/** Keeps rows of streams that are still there, so that focus and reading position survive a refresh. */
function showStreams(all) {
  const published = all.filter((stream) => stream.published);
  const ids = new Set(published.map((stream) => stream.mediaSessionId));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  for (const stream of published) {
    let row = rows.get(stream.mediaSessionId);
    if (!row) {
      row = $("streamRow").content.firstElementChild.cloneNode(true);
      row.querySelector(".name").textContent = stream.name;
      const link = row.querySelector("a");
      link.href = "/player.html?streamName=" + encodeURIComponent(stream.name) + "&autoplay=true";
      link.setAttribute("aria-label", "Play " + stream.name);
      rows.set(stream.mediaSessionId, row);
      $("streams").append(row);
    }
    const players = all.filter((other) => !other.published && other.name === stream.name).length;
    row.querySelector(".facts").textContent = facts(stream, players);
    const image = row.querySelector(".thumbnail");
    image.dataset.stream = stream.videoCodec && stream.status === "PUBLISHING" ? stream.name : "";
    if (!image.dataset.stream) image.hidden = true;
  }
  $("noStreams").hidden = published.length > 0;
  $("noStreams").textContent = "Nobody is publishing at the moment.";
  $("publisherCount").textContent = published.length;
  $("playerCount").textContent = all.length - published.length;
}

/** Pictures of the rows that can be seen, one after the other, so that a long list asks the server for one at a time. */
async function showThumbnails() {
  for (const image of document.querySelectorAll("#streams .thumbnail")) {
    const { stream } = image.dataset;
    const box = image.parentElement.getBoundingClientRect();
    if (document.hidden || !stream || box.bottom < 0 || box.top > innerHeight) continue;
    try {
      const response = await fetch("/rest-api/stream/snapshot/" + encodeURIComponent(stream) + ".jpg?width=256&height=144&quality=70",
        { signal: AbortSignal.timeout(4000) });
      if (!response.ok) throw new Error(response.statusText);
      const address = URL.createObjectURL(await response.blob());
      image.onload = image.onerror = () => URL.revokeObjectURL(address);
      image.src = address;
      image.hidden = false;
    } catch {
      // None is better than one of long ago.
      image.hidden = true;
    }
  }
}

let info = null;

async function refresh() {
  info ??= await serverInfo();
  const all = await findAll();
  if (all === null) {
    info = null;
    setState("NO ANSWER", "The server does not answer. This page keeps asking.");
    $("noStreams").hidden = rows.size > 0;
    $("noStreams").textContent = "Unknown: the server does not answer.";
    $("streamsAge").textContent = "";
    return;
  }
  setState("RUNNING", "");
  $("serverVersion").textContent = info?.version ?? "–";
  $("serverPorts").textContent = info ? [info.ws, info.wss].filter((port) => port > 0).join(" / ") : "–";
  showStreams(all);
  $("streamsAge").textContent = "refreshed every 3 seconds";
}

function setState(status, sentence) {
  // Repeating the same text would make screen readers say it every time.
  if ($("serverStatus").textContent !== status) say($("serverStatus"), status, $("serverWords"), sentence);
  $("serverWords").hidden = sentence === "";
}

async function loop() {
  if (!document.hidden) {
    await refresh();
    await showThumbnails();
  }
  setTimeout(loop, PERIOD);
}

$("pushExample").textContent = "curl -X POST " + location.origin + "/rest-api/pull/push \\\n"
  + "  -H 'Content-Type: application/json' \\\n"
  + "  -d '{\"uri\":\"ws://other.example.org:8080\",\"localStreamName\":\"mystream\",\"remoteStreamName\":\"mystream\"}'";
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
loop();
