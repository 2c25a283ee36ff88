// SPDX-License-Identifier: Apache-2.0
// Answers to `stream.available()` that are still awaited; one `availableStream` frame settles all of a stream's. Owned by Stream.

const PATIENCE = 10_000; // ms

export class Availability {
  #waiting = [];

  get isAsked() { return this.#waiting.length > 0; }

  /** A promise for the next answer; `onSilence` is called when none comes in time. */
  ask(onSilence) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, timer: setTimeout(onSilence, PATIENCE) });
    });
  }

  settle(isAvailable, stream) {
    for (const { resolve, reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      if (isAvailable) resolve(stream);
      else reject(stream);
    }
  }
}
