// SPDX-License-Identifier: Apache-2.0
// One callback per event name, replaced by the next `on` for that name, as WCS pages expect. Owned by each session and stream.

export class Callbacks {
  #byEvent = new Map();

  /** Registers `callback` for `event`, in place of an earlier one. Throws TypeError when either is missing. */
  set(event, callback) {
    if (!event) throw new TypeError("on() needs the name of an event");
    if (typeof callback !== "function") throw new TypeError("on() needs a function to call for " + event);
    this.#byEvent.set(event, callback);
  }

  /** Calls the callback. An error in a page's callback is reported by the browser but must not stop the SDK half-way. */
  call(event, ...values) {
    const callback = this.#byEvent.get(event);
    if (!callback) return;
    try {
      callback(...values);
    } catch (error) {
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    }
  }
}

/** A version 4 UUID; `crypto.randomUUID` is missing on pages that came over plain http. */
export function createUUID() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
