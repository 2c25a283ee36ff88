// SPDX-License-Identifier: Apache-2.0
// The pictures of a room: one tile for each person and each shared screen, in a grid that style.css lays out by their number.
// Used by room.js.
import { $ } from "./common.js";

/** One tile. `display` is where the SDK puts its video element. */
export class Tile {
  #root;
  #muted = { audio: false, video: false };

  /** @param kind "own", "person", "shared" or "own-shared", which style.css tells apart. */
  constructor(name, kind) {
    this.#root = $("tile").content.firstElementChild.cloneNode(true);
    this.#root.classList.add(kind);
    this.#part(".name").textContent = name;
    this.#root.setAttribute("aria-label", name);
    this.display = this.#part(".display");
    this.#part(".full").addEventListener("click", () => this.#toggleFullScreen());
    $("stage").append(this.#root);
  }

  /** Words in place of the picture; they are seen while there is none. */
  set words(text) { this.#part(".empty").textContent = text; }

  /** A button over the picture, for what only a click can do; null takes it away. */
  offer(text, action) {
    const button = this.#part(".offer");
    button.hidden = text === null;
    button.textContent = text ?? "";
    button.onclick = action ?? null;
  }

  /** Marks sound or picture as switched off by their publisher. */
  mute(kind, isMuted) {
    this.#muted[kind] = isMuted;
    const off = [this.#muted.audio && "sound off", this.#muted.video && "picture off"].filter(Boolean);
    this.#part(".mute").textContent = off.join(", ");
  }

  set isLoudest(isLoudest) { this.#root.toggleAttribute("data-loudest", isLoudest); }

  remove() {
    if (document.fullscreenElement === this.#root) document.exitFullscreen();
    this.#root.remove();
  }

  #part(selector) { return this.#root.querySelector(selector); }

  #toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    // iPhones know full screen for video elements only.
    else if (this.#root.requestFullscreen) this.#root.requestFullscreen();
    else this.#part("video")?.webkitEnterFullscreen?.();
  }
}

// A level heard longer ago than this says nothing about now, milliseconds.
const FRESH = 1500;
// RFC 6464: dB below the loudest possible; what is quieter than this is not speech.
const SPEECH = 50;

/** Marks the tile of whoever speaks, from `audioLevel` stream events: as the server judges, else the loudest of those heard. */
export class Speakers {
  #levels = new Map();
  #timer = null;

  hear(tile, { level, loudest } = {}) {
    if (typeof loudest === "boolean") {
      tile.isLoudest = loudest;
      return;
    }
    if (!(level >= 0)) return;
    this.#levels.set(tile, { level, at: performance.now() });
    this.#mark();
  }

  forget(tile) {
    tile.isLoudest = false;
    this.#levels.delete(tile);
  }

  #mark() {
    clearTimeout(this.#timer);
    const now = performance.now();
    let loudest = null;
    for (const [tile, heard] of this.#levels) {
      if (now - heard.at > FRESH) this.forget(tile);
      else if (heard.level < SPEECH && !(loudest?.level <= heard.level)) loudest = { tile, level: heard.level };
    }
    for (const tile of this.#levels.keys()) tile.isLoudest = tile === loudest?.tile;
    if (this.#levels.size > 0) this.#timer = setTimeout(() => this.#mark(), FRESH);
  }
}
