// SPDX-License-Identifier: Apache-2.0
// One stay of this page's user in one room: who else is there, their streams and messages, and publishing among them. Made by
// RoomSession.join; gets the server's events from there. A stay that ended does not begin again; a page joins anew.
import { TERMINAL_STATUSES } from "./constants.js";
import { Callbacks, createUUID } from "./events.js";
import { Participant } from "./room-participant.js";

/** What `room.on` can listen to. */
export const ROOM_EVENT = Object.freeze({
  STATE: "STATE", JOINED: "JOINED", LEFT: "LEFT", PUBLISHED: "PUBLISHED", UNPUBLISHED: "UNPUBLISHED", FAILED: "FAILED",
  MESSAGE: "MESSAGE",
});

export class Room {
  #session;
  #name;
  #state = "joining"; // joining → joined → left; failed instead when refused or put out
  #isDescribed = false;
  #callbacks = new Callbacks();
  #participants = new Map();
  #streams = new Set();
  #leaving = null;

  /** @param session what the connection lends: username(), sendCommand(command, options), createStream(options), forget(room). */
  constructor(session, { name, record }) {
    if (typeof name !== "string" || name === "") throw new TypeError("join() needs the name of a room");
    this.#session = session;
    this.#name = name;
    session.sendCommand("join", record === undefined ? { name } : { name, record })
      .catch((outcome) => this.#refused(outcome?.info));
  }

  name() { return this.#name; }
  getParticipants() { return [...this.#participants.values()]; }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  /**
   * Publishes here: the options of `createStream`, `name` being a suffix such as "screenShare". Camera and microphone stay open
   * in the display afterwards unless `cacheLocalResources` is false. Returns the SDK's stream.
   */
  publish(options = {}) {
    const base = [this.#name, this.#session.username(), createUUID().slice(0, 4)].join("-");
    return this.#start("publish", {
      ...options,
      name: options.name ? base + "-" + options.name : base,
      cacheLocalResources: options.cacheLocalResources ?? true,
    });
  }

  /** Sends text to everybody else. Resolves with the names of those whom it could not be sent to; never rejects. */
  async sendMessage(text) {
    const addressees = this.getParticipants();
    const taken = await Promise.all(addressees.map((participant) => participant.sendMessage(text)));
    return addressees.filter((_, index) => !taken[index]).map((participant) => participant.name());
  }

  /** Ends the stay and every stream of it. Resolves, or rejects when the server objects, with the room; it is left either way. */
  leave() {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave() {
    if (this.#state === "failed") return this;
    const answer = this.#session.sendCommand("leave", { name: this.#name });
    this.#end("left");
    try {
      await answer;
      return this;
    } catch {
      throw this;
    } finally {
      this.#session.forget(this);
    }
  }

  // For the connection.

  /** Whether the server still has to describe this stay with a STATE event, even if it was left meanwhile. */
  get awaitsState() { return !this.#isDescribed && this.#state !== "failed"; }
  get isJoined() { return this.#state === "joined"; }
  get isOver() { return this.#state === "left" || this.#state === "failed"; }

  /** One event of this room. What makes no sense is ignored; what tells of an unknown person introduces that person. */
  receive(event, info) {
    if (event === ROOM_EVENT.STATE) return this.#describe(info);
    if (this.#state !== "joined") return undefined;
    switch (event) {
      case ROOM_EVENT.JOINED: return void this.#known(info);
      case ROOM_EVENT.LEFT: return this.#depart(info);
      case ROOM_EVENT.PUBLISHED: return this.#published(info);
      case ROOM_EVENT.UNPUBLISHED:
      case ROOM_EVENT.FAILED: return this.#unpublished(info);
      case ROOM_EVENT.MESSAGE: return this.#message(info);
      default: return undefined;
    }
  }

  /** The server has put this user out of the room, or closed it. */
  receiveExpulsion(reason) { this.#fail(reason ?? "The server has ended this stay in the room."); }

  /** The connection is gone, and with it the stay. */
  receiveConnectionLoss() { this.#end("left"); }

  // For participants and their streams.

  sendTo(login, text) {
    return this.#session.sendCommand("sendMessage", { roomConfig: { name: this.#name }, to: login, text: String(text) });
  }

  playInRoom(name, display, options) { return this.#start("play", { ...options, name, display }); }

  // Inside.

  #start(action, options) {
    if (this.isOver) throw new Error("The room was left; nothing can be published or played in it any more.");
    const stream = this.#session.createStream({ ...options, custom: { ...options.custom, name: this.#name } });
    for (const other of this.#streams) if (TERMINAL_STATUSES.includes(other.status())) this.#streams.delete(other);
    this.#streams.add(stream);
    stream[action]();
    return stream;
  }

  #describe(info) {
    this.#isDescribed = true;
    if (this.#state !== "joining") return;
    this.#state = "joined";
    for (const entry of Array.isArray(info) ? info : []) {
      const login = typeof entry === "string" ? entry : entry?.login;
      if (!isName(login)) continue;
      const participant = this.#participants.get(login) ?? this.#introduce(login);
      if (isName(entry.name)) participant.addStream(entry.name);
    }
    this.#callbacks.call(ROOM_EVENT.STATE, this);
  }

  #introduce(login) {
    const participant = new Participant(this, login);
    this.#participants.set(login, participant);
    return participant;
  }

  /** The participant of that login, introduced to the page if new; undefined for what can't be a login. */
  #known(login) {
    if (!isName(login)) return undefined;
    const known = this.#participants.get(login);
    if (known) return known;
    const participant = this.#introduce(login);
    this.#callbacks.call(ROOM_EVENT.JOINED, participant);
    return participant;
  }

  #depart(login) {
    const participant = this.#participants.get(login);
    if (!participant) return;
    this.#participants.delete(login);
    this.#callbacks.call(ROOM_EVENT.LEFT, participant);
  }

  #published(info) {
    if (!isName(info?.name)) return;
    const participant = this.#known(info.login);
    if (!participant || participant.hasStream(info.name)) return;
    const stream = participant.addStream(info.name);
    this.#callbacks.call(ROOM_EVENT.PUBLISHED, participant, stream);
  }

  #unpublished(info) {
    const participant = this.#participants.get(info?.login);
    const stream = participant?.removeStream(info.name);
    if (stream) this.#callbacks.call(ROOM_EVENT.UNPUBLISHED, participant, stream);
  }

  #message(info) {
    if (!isName(info?.from) || typeof info.text !== "string") return;
    // A sender who is gone already, or whom the server speaks for, still has a name.
    const from = this.#participants.get(info.from) ?? new Participant(this, info.from);
    this.#callbacks.call(ROOM_EVENT.MESSAGE, { from, text: info.text });
  }

  #refused(reason) {
    if (this.#state === "joining") this.#fail(reason ?? "The room could not be joined.");
  }

  #fail(reason) {
    this.#end("failed");
    this.#session.forget(this);
    this.#callbacks.call(ROOM_EVENT.FAILED, this, reason);
  }

  #end(state) {
    if (this.isOver) return;
    this.#state = state;
    for (const stream of this.#streams) stream.stop();
    this.#streams.clear();
    this.#participants.clear();
  }
}

const isName = (value) => typeof value === "string" && value !== "";
