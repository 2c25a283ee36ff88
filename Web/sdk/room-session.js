// SPDX-License-Identifier: Apache-2.0
// The Room API: a connection under a login, from which rooms are joined. Made by RoomApi.connect on top of an ordinary session;
// hands each event of the server to the stay in the room that it belongs to.
import { SESSION_STATUS } from "./constants.js";
import { Callbacks } from "./events.js";
import { Room, ROOM_EVENT } from "./room.js";

const ROOM_APPLICATION = "roomApp";

export class RoomSession {
  #session;
  #username;
  #callbacks = new Callbacks();
  // Stays that are going on, and left ones of which the server has yet to speak; in the order of joining.
  #rooms = [];

  constructor(session, username) {
    this.#session = session;
    this.#username = username;
    session.on(SESSION_STATUS.APP_DATA, (data) => this.#receive(data?.payload));
    session.on(SESSION_STATUS.WARN, (warning) => {
      // Martlet's word to those who are put out of a room, or whose room is closed.
      if (warning?.roomEvent) this.#stay(warning.roomName, (stay) => stay.isJoined)?.receiveExpulsion(warning.info);
      this.#callbacks.call(SESSION_STATUS.WARN, this, warning);
    });
    for (const status of [SESSION_STATUS.CONNECTED, SESSION_STATUS.ESTABLISHED]) {
      session.on(status, () => this.#callbacks.call(status, this));
    }
    for (const status of [SESSION_STATUS.DISCONNECTED, SESSION_STATUS.FAILED]) {
      session.on(status, () => {
        for (const room of this.#rooms.splice(0)) room.receiveConnectionLoss();
        this.#callbacks.call(status, this);
      });
    }
  }

  id() { return this.#session.id(); }
  status() { return this.#session.status(); }
  getServerUrl() { return this.#session.getServerUrl(); }
  getErrorInfo() { return this.#session.getErrorInfo(); }
  getLogger() { return this.#session.getLogger(); }
  username() { return this.#username; }
  /** Rooms that this connection is in or joining. */
  getRooms() { return this.#rooms.filter((room) => !room.isOver); }
  disconnect() { this.#session.disconnect(); }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  /** Joins a room, which is made if nobody is there. ROOM_EVENT.STATE or FAILED follows. */
  join(options = {}) {
    const room = new Room(this, options);
    this.#rooms.push(room);
    return room;
  }

  // For rooms.

  sendCommand(command, options) { return this.#session.sendData({ command, options }); }
  createStream(options) { return this.#session.createStream(options); }
  forget(room) { this.#rooms = this.#rooms.filter((other) => other !== room); }

  #stay(roomName, fits) { return this.#rooms.find((room) => room.name() === roomName && fits(room)); }

  #receive(payload) {
    if (!payload || typeof payload !== "object") return;
    const { roomName, name, info } = payload;
    // Commands are taken in order, so descriptions come in the order of the joins, also of those left before theirs came.
    const room = this.#stay(roomName, (stay) => (name === ROOM_EVENT.STATE ? stay.awaitsState : stay.isJoined));
    if (room) room.receive(name, info);
    else this.#session.getLogger().debug("RoomSession", "ignored", name, "of", roomName);
  }
}

/**
 * The object that pages know as `RoomApi`.
 * @param createSession as of the SDK's door. @param sdk gives the SDK's default export, which pages take from here.
 */
export function makeRoomApi(createSession, sdk) {
  return Object.freeze({
    /** Connects under `username`; `on` tells of the outcome. Options of `createSession` may be added. */
    connect({ username, token, appKey = ROOM_APPLICATION, custom, ...options } = {}) {
      if (typeof username !== "string" || username === "") throw new TypeError("connect() needs the option username");
      return new RoomSession(createSession({ ...options, appKey, custom: { ...custom, login: username, token } }), username);
    },
    events: ROOM_EVENT,
    get sdk() { return sdk(); },
  });
}
