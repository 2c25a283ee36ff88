// SPDX-License-Identifier: Apache-2.0
// The video element of one playing stream: start despite autoplay rules, volume, sound on and off, full screen. Owned by a Stream.
import { closeElement, openElement, startElement } from "./display.js";

export class Playback {
  #display;
  #element;
  #onHindered;

  /**
   * Must be made in the tick of the user's click: browsers let an element sound only if it was started there.
   * @param onHindered called with "muted" or "blocked" when the browser refuses sound, or playing at all.
   */
  constructor(options, streamId, onHindered) {
    this.#display = options.remoteVideo ?? options.display;
    this.#onHindered = onHindered;
    this.#element = openElement(this.#display, streamId, { muted: options.unmutePlayOnStart === false, controls: options.useControls });
    if (!this.#element) return;
    this.#element.srcObject = new MediaStream();
    // Never settles or fails without media; only the touch of the click matters here.
    this.#element.play().catch(() => {});
  }

  get element() { return this.#element; }

  /** Shows the tracks, all in one stream, whatever streams the server named. */
  async show(tracks) {
    if (!this.#element) return;
    this.#element.srcObject = new MediaStream(tracks);
    const result = await startElement(this.#element);
    if (result !== "playing" && this.#element) this.#onHindered(result);
  }

  get volume() { return this.#element ? Math.round(this.#element.volume * 100) : 0; }
  set volume(percent) {
    if (this.#element) this.#element.volume = Math.min(100, Math.max(0, Number(percent) || 0)) / 100;
  }

  get isMuted() { return this.#element ? this.#element.muted : true; }
  set isMuted(muted) {
    if (!this.#element) return;
    this.#element.muted = muted;
    // Called from a click, this is also what gets a blocked element going.
    if (!muted && this.#element.paused) this.#element.play().catch(() => {});
  }

  close() {
    closeElement(this.#display, this.#element);
    this.#element = null;
  }
}
