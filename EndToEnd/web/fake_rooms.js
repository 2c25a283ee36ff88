// SPDX-License-Identifier: Apache-2.0
// Put into a page after fake_server.js: rooms on top of the stand-in server. Several connections of one page are several people.
// `fakeServer.rooms` maps room names to [{login, socket}, …]; `fakeServer.options.refuseJoin` is a reason to refuse every join with.
fakeServer.rooms = new Map();

window.WebSocket = class FakeRoomSocket extends window.WebSocket {
  login = null;

  send(text) {
    const { message, data: [value] } = JSON.parse(text);
    if (message === "connection") this.login = value.custom?.login ?? null;
    if (message !== "sendData" || !value.payload?.command) return super.send(text);
    fakeServer.frames.push({ message, data: [value] });
    setTimeout(() => {
      const reason = this.command(value.payload);
      this.deliver("DataStatusEvent", [{ operationId: value.operationId, ...(reason ? { status: "FAILED", info: reason } : { status: "ACCEPTED" }) }]);
    });
    return undefined;
  }

  /** Takes a command; returns the reason if it is refused. */
  command({ command, options }) {
    const members = (name) => fakeServer.rooms.get(name) ?? [];
    switch (command) {
      case "join": {
        if (fakeServer.options.refuseJoin) return fakeServer.options.refuseJoin;
        const others = members(options.name);
        if (others.some((member) => member.login === this.login)) return "Room already has user with such login";
        this.tellRoom(options.name, "STATE", others.flatMap((member) => {
          const streams = this.liveStreams(options.name, member);
          return streams.length > 0 ? streams.map((stream) => ({ login: member.login, name: stream.name })) : [member.login];
        }));
        for (const member of others) member.socket.tellRoom(options.name, "JOINED", this.login);
        fakeServer.rooms.set(options.name, [...others, { login: this.login, socket: this }]);
        return null;
      }
      case "leave":
        if (!members(options.name).some((member) => member.socket === this)) return "You are not in this room";
        this.leaveRoom(options.name);
        return null;
      case "sendMessage": {
        const addressee = members(options.roomConfig.name).find((member) => member.login === options.to);
        if (!addressee) return "Nobody of this name is in the room";
        addressee.socket.tellRoom(options.roomConfig.name, "MESSAGE", { from: this.login, text: options.text });
        return null;
      }
      default: return "Unknown command";
    }
  }

  liveStreams(room, { socket }) {
    return [...fakeServer.streams.values()].filter((stream) => stream.live && stream.published && stream.socket === socket && stream.custom?.name === room);
  }

  leaveRoom(name) {
    const others = fakeServer.rooms.get(name).filter((member) => member.socket !== this);
    if (others.length > 0) fakeServer.rooms.set(name, others);
    else fakeServer.rooms.delete(name);
    for (const member of others) member.socket.tellRoom(name, "LEFT", this.login);
  }

  tellRoom(roomName, name, info) { this.deliver("OnDataEvent", [{ payload: { roomName, name, info } }]); }

  tellOthers(room, name, info) {
    for (const { socket } of fakeServer.rooms.get(room) ?? []) if (socket !== this) socket.tellRoom(room, name, info);
  }

  status(stream, status, info) {
    super.status(stream, status, info);
    const room = stream.published && stream.custom?.name;
    if (!room) return;
    if (status === "PUBLISHING") this.tellOthers(room, "PUBLISHED", { login: this.login, name: stream.name });
    if (status === "UNPUBLISHED") this.tellOthers(room, "UNPUBLISHED", { login: this.login, name: stream.name });
  }

  close() {
    if (this.readyState >= 2) return;
    const mine = [...fakeServer.streams.values()].filter((stream) => stream.socket === this && stream.published);
    super.close();
    for (const stream of mine) {
      for (const other of [...fakeServer.streams.values()]) {
        if (other.name === stream.name && !other.published) other.socket.fail(other);
      }
      if (stream.custom?.name) this.tellOthers(stream.custom.name, "UNPUBLISHED", { login: this.login, name: stream.name });
    }
    for (const [name, members] of [...fakeServer.rooms]) {
      if (members.some((member) => member.socket === this)) this.leaveRoom(name);
    }
  }

  fail(stream) {
    stream.pc.close();
    fakeServer.streams.delete(stream.mediaSessionId);
    this.status(stream, "FAILED", "Stopped by publisher stop");
  }
};
