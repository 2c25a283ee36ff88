// SPDX-License-Identifier: Apache-2.0
// One other person in a room and that person's streams, as the server's events describe them. Made and kept by Room.
import { TERMINAL_STATUSES } from "./constants.js";

/** A stream that somebody else publishes in the room; it may be played more than once, into different displays. */
export class RoomStream {
  #room;
  #name;
  #played = [];

  /** @param room what the room lends: playInRoom(name, display, options). */
  constructor(room, name) {
    this.#room = room;
    this.#name = name;
  }

  streamName() { return this.#name; }
  /** Whether it was published with `name: "screenShare"`. */
  isScreenShare() { return this.#name.endsWith("-screenShare"); }
  /** Id of what was played last; undefined before that. */
  id() { return this.#played.at(-1)?.id(); }

  /** Plays into `display`, with options of `createStream` if need be, and returns the SDK's stream. */
  play(display, options = {}) {
    const stream = this.#room.playInRoom(this.#name, display, options);
    this.#played = this.#played.filter((other) => !isOver(other));
    this.#played.push(stream);
    return stream;
  }

  /** Stops every playing of this stream by this page. */
  stop() {
    for (const stream of this.#played) if (!isOver(stream)) stream.stop();
  }
}

const isOver = (stream) => TERMINAL_STATUSES.includes(stream.status());

export class Participant {
  #room;
  #name;
  #streams = new Map();

  /** @param room what the room lends: sendTo(login, text), playInRoom(…). */
  constructor(room, name) {
    this.#room = room;
    this.#name = name;
  }

  name() { return this.#name; }
  getStreams() { return [...this.#streams.values()]; }

  /**
   * Sends text to this person alone. Resolves with whether the server took it, and never rejects.
   * @param onError called with the server's reason when it did not.
   */
  sendMessage(text, onError) {
    return this.#room.sendTo(this.#name, text).then(() => true, (outcome) => {
      if (typeof onError === "function") onError(outcome?.info);
      return false;
    });
  }

  // For the room.

  /** The stream of that name; a new one unless it is known. */
  addStream(name) {
    if (!this.#streams.has(name)) this.#streams.set(name, new RoomStream(this.#room, name));
    return this.#streams.get(name);
  }

  hasStream(name) { return this.#streams.has(name); }

  /** Returns what was taken out, or undefined. */
  removeStream(name) {
    const stream = this.#streams.get(name);
    this.#streams.delete(name);
    return stream;
  }
}
