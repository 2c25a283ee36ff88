// SPDX-License-Identifier: Apache-2.0
// The WHIP & WHEP page: publishes and plays by HTTP alone, one stream each at a time.
import { $, freshName, isFilled, parameter, say } from "./common.js";
import { WhepPlayer, WhipPublisher } from "/sdk/whip.js";

const endpoint = (kind, name) => "/" + kind + "/" + encodeURIComponent(name);
const shown = (kind, name) => location.origin + endpoint(kind, name || "stream");

/** One half of the page: a form, a button, a status line, a video. */
function half({ form, button, field, status, words, address, figures, video, kind, verb, running, begin, ended }) {
  let session = null;
  let timer = null;

  const tell = (word, sentence) => say($(status), word, $(words), sentence);
  function update() {
    $(button).textContent = session ? "Stop" : verb;
    $(button).classList.toggle("main", !session);
    $(field).disabled = session !== null;
    $(address).textContent = shown(kind, $(field).value.trim());
  }

  async function showFigures(peer) {
    let last = null;
    timer = setInterval(async () => {
      const found = {};
      for (const record of (await peer.getStats()).values()) {
        if (record.type === "inbound-rtp" || record.type === "outbound-rtp") found[record.kind] = record;
        if (record.type === "candidate-pair" && record.nominated && record.state === "succeeded") found.pair = record;
      }
      const { video: picture = {}, audio: sound = {} } = found;
      const bytes = (picture.bytesSent ?? picture.bytesReceived ?? 0) + (sound.bytesSent ?? sound.bytesReceived ?? 0);
      const parts = [];
      if (picture.frameWidth) parts.push(picture.frameWidth + " × " + picture.frameHeight);
      if (picture.framesPerSecond) parts.push(Math.round(picture.framesPerSecond) + " fps");
      if (last) parts.push(Math.max(0, Math.round((bytes - last.bytes) * 8 / (performance.now() - last.at))) + " kbit/s");
      last = { bytes, at: performance.now() };
      $(figures).textContent = parts.join(" · ");
    }, 1000);
  }

  function over(opened, word, sentence) {
    if (session !== opened) return;
    session = null;
    clearInterval(timer);
    $(figures).textContent = "";
    $(video).replaceChildren();
    ended?.(opened);
    tell(word, sentence);
    update();
  }

  $(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (session) {
      const closing = session;
      over(closing, "STOPPED", "Stopped.");
      await closing.close();
      return;
    }
    if (!isFilled($(field))) return;
    tell("PENDING", "");
    let opened = null;
    try {
      opened = await begin(endpoint(kind, $(field).value.trim()), $(video));
      session = opened;
      update();
      opened.onstate = (state) => {
        if (session !== opened) return;
        if (state === "connected") tell(running, "");
        else if (state === "disconnected") tell("PENDING", "The way to the server is interrupted…");
        else if (state === "closed") over(opened, "FAILED", "The connection has ended.");
      };
      await opened.begin();
      showFigures(opened.peer);
    } catch (error) {
      if (opened) over(opened, "FAILED", error.message);
      else tell("FAILED", error.message);
    }
  });
  $(field).addEventListener("input", update);
  addEventListener("pagehide", () => session?.close());
  update();
}

function element(place, stream, isOwn) {
  const video = document.createElement("video");
  Object.assign(video, { autoplay: true, playsInline: true, muted: isOwn, srcObject: stream, controls: !isOwn });
  place.replaceChildren(video);
  return video;
}

$("publishStream").value = parameter("name") || freshName();
$("playStream").value = parameter("name") || $("publishStream").value;

half({
  form: "publishForm", button: "publishBtn", field: "publishStream", status: "publishStatus", words: "publishInfo",
  address: "whipUrl", figures: "publishFigures", video: "localVideo", kind: "whip", verb: "Publish", running: "PUBLISHING",
  async begin(url, place) {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    element(place, media, true);
    const publisher = new WhipPublisher(url, media);
    publisher.camera = media;
    return publisher;
  },
  ended: (publisher) => publisher.camera.getTracks().forEach((track) => track.stop()),
});

half({
  form: "playForm", button: "playBtn", field: "playStream", status: "playStatus", words: "playInfo",
  address: "whepUrl", figures: "playFigures", video: "remoteVideo", kind: "whep", verb: "Play", running: "PLAYING",
  async begin(url, place) {
    const player = new WhepPlayer(url);
    const video = element(place, player.media, false);
    video.play().catch(() => { video.muted = true; video.play(); });
    return player;
  },
});
