// SPDX-License-Identifier: Apache-2.0
// The three room pages: joins a room under a login, publishes this device there, plays everybody else, chats, shares the screen.
// `data-limit` of <main> says how many people the page is for; with `data-limit-parameter` the address may say otherwise.
import Flashphoner, { RoomApi } from "/sdk/flashphoner.js";
import { $, fillServerUrl, freshName, isFilled, parameter, say, sessionWords, streamWords } from "./common.js";
import { addLine, onSend, readable, setOpen, showInvite } from "./room-chat.js";
import { Speakers, Tile } from "./room-tiles.js";

const { SESSION_STATUS, STREAM_STATUS, STREAM_STATUS_INFO, STREAM_EVENT, STREAM_EVENT_TYPE } = Flashphoner.constants;
const ROOM_EVENT = RoomApi.events;
const LARGEST = 25;

const limit = peopleLimit();
// Stays the same for as long as the page is open, so that an invite link that was sent holds.
const roomName = parameter("roomName") || "room-" + (freshName() + freshName()).slice(0, 6);
const canRecord = $("recordBox") !== null && !parameter("roomName");
const speakers = new Speakers();
// login → {main: Tile, shown: Map of stream name → {tile, stream}}
const people = new Map();
let connection = null;
let room = null;
let own = null; // {tile, stream} of the camera
let screen = null; // {tile, stream} of the shared screen
// Why the connection is being closed; that matters more to the user than that it was closed.
let farewell = null;

function peopleLimit() {
  const { limit: usual, limitParameter } = $("content").dataset;
  const wanted = limitParameter ? Number(parameter(limitParameter)) : NaN;
  return wanted >= 2 ? Math.min(LARGEST, Math.floor(wanted)) : Number(usual);
}

/** The more people, the smaller each picture is shown, so the less of it is sent. */
function cameraConstraints() {
  if (limit <= 4) return { audio: true, video: { width: 640, height: 360 } };
  if (limit <= 9) return { audio: true, video: { width: 480, height: 270, frameRate: 20 } };
  return { audio: true, video: { width: 320, height: 180, frameRate: 15 } };
}

// The form on top

const sayConnection = (status, sentence = "") => say($("status"), status, $("info"), sentence);

/** Brings every button and field in line with what is going on. */
function update() {
  const isIn = room !== null;
  $("joinBtn").textContent = isIn ? "Leave" : connection ? "Cancel" : "Join";
  $("joinBtn").classList.toggle("main", !connection);
  $("urlServer").disabled = $("login").disabled = connection !== null;
  if ($("recordBox")) {
    $("recordBox").hidden = !canRecord;
    $("recordCheckBox").disabled = connection !== null;
  }
  setOpen(isIn);

  const isPublishing = own?.stream?.status() === STREAM_STATUS.PUBLISHING;
  $("stopBtn").textContent = own?.stream ? "Stop" : "Publish";
  $("stopBtn").disabled = !isIn;
  for (const [button, kind, letter] of [[$("muteAudioBtn"), "Audio", "A"], [$("muteVideoBtn"), "Video", "V"]]) {
    const has = isPublishing && own.stream["has" + kind]();
    const isMuted = has && own.stream["is" + kind + "Muted"]();
    button.disabled = !has;
    button.setAttribute("aria-pressed", String(isMuted));
    button.textContent = (isMuted ? "Unmute " : "Mute ") + letter;
    own?.tile.mute(kind.toLowerCase(), isMuted);
  }
  if ($("shareBtn")) {
    $("shareBtn").textContent = screen ? "Unshare" : "Share";
    $("shareBtn").disabled = !isIn;
    for (const field of $("shareForm").querySelectorAll("input")) field.disabled = screen !== null;
  }
  $("alone").hidden = !isIn || people.size > 0;
}

async function join() {
  await addressReady;
  if (connection || !isFilled($("urlServer"), $("login"))) return;
  let opened;
  try {
    opened = RoomApi.connect({ urlServer: $("urlServer").value.trim(), username: $("login").value.trim() });
  } catch (error) {
    sayConnection(SESSION_STATUS.FAILED, error.message);
    return;
  }
  connection = opened;
  sayConnection(SESSION_STATUS.PENDING, "Connecting…");
  farewell = null;
  const end = (sentence) => {
    clearRoom();
    connection = null;
    sayConnection(opened.status(), farewell ?? sentence);
    update();
  };
  opened.on(SESSION_STATUS.ESTABLISHED, () => {
    opened.wasEstablished = true;
    sayConnection(SESSION_STATUS.ESTABLISHED, "Joining the room…");
    enter(opened, (sentence) => {
      farewell = sentence;
      opened.disconnect();
    });
  })
    .on(SESSION_STATUS.DISCONNECTED, () => end(opened.getErrorInfo()))
    .on(SESSION_STATUS.FAILED, () => end(sessionWords(opened)));
  update();
}

async function leave() {
  const [left, opened] = [room, connection];
  farewell = left ? "You have left the room." : "Cancelled.";
  if (left) await left.leave().catch(() => {});
  opened.disconnect();
}

$("joinForm").addEventListener("submit", (event) => {
  event.preventDefault();
  if (connection) leave();
  else join();
});

// The room

function enter(opened, goAway) {
  // Only who opens a room decides whether it is recorded, as on the vendor's page.
  opened.join(canRecord ? { name: roomName, record: $("recordCheckBox").checked } : { name: roomName })
    .on(ROOM_EVENT.STATE, (joined) => {
      const others = joined.getParticipants();
      if (others.length >= limit) {
        joined.leave().catch(() => {}).then(() => goAway("Current room is full."));
        return;
      }
      room = joined;
      sayConnection(SESSION_STATUS.ESTABLISHED, "");
      $("room").hidden = false;
      showInvite(inviteUrl());
      others.forEach(showPerson);
      addLine("chat", others.length > 0 ? "participants: " + others.map((other) => other.name()).join(", ") : "room is empty");
      publish();
      update();
    })
    .on(ROOM_EVENT.JOINED, (participant) => {
      showPerson(participant);
      addLine(participant.name(), "joined");
      update();
    })
    .on(ROOM_EVENT.LEFT, (participant) => {
      removePerson(participant.name());
      addLine(participant.name(), "left");
      update();
    })
    .on(ROOM_EVENT.PUBLISHED, (participant, published) => showStream(participant, published))
    .on(ROOM_EVENT.UNPUBLISHED, (participant, ended) => hideStream(participant.name(), ended.streamName()))
    .on(ROOM_EVENT.MESSAGE, (message) => addLine(message.from.name(), readable(message.text)))
    .on(ROOM_EVENT.FAILED, (refused, reason) => goAway(reason.endsWith(".") ? reason : reason + "."));
}

function inviteUrl() {
  const query = new URLSearchParams({ roomName });
  for (const kept of [$("content").dataset.limitParameter, "urlServer"]) if (kept && parameter(kept)) query.set(kept, parameter(kept));
  return location.origin + location.pathname + "?" + query;
}

onSend(async (text) => {
  if (!room) return;
  addLine(connection.username(), text);
  const missed = await room.sendMessage(text);
  if (missed.length > 0) addLine("chat", "not delivered to " + missed.join(", "));
});

function clearRoom() {
  room = null;
  for (const login of [...people.keys()]) removePerson(login);
  own?.tile.remove();
  screen?.tile.remove();
  own = screen = null;
  showInvite(null);
}

// Other people

function showPerson(participant) {
  if (people.has(participant.name())) return;
  const main = new Tile(participant.name(), "person");
  main.words = "No camera yet.";
  people.set(participant.name(), { main, shown: new Map() });
  participant.getStreams().forEach((published) => showStream(participant, published));
}

function showStream(participant, published) {
  const person = people.get(participant.name());
  if (!room || !person || person.shown.has(published.streamName())) return;
  // The first camera takes the person's own tile; a screen or a second camera gets one more.
  const isMainFree = ![...person.shown.values()].some(({ tile }) => tile === person.main);
  const tile = published.isScreenShare() ? new Tile(participant.name() + " – screen", "shared")
    : isMainFree ? person.main : new Tile(participant.name(), "person");
  const entry = { tile, stream: null };
  person.shown.set(published.streamName(), entry);
  play(entry, published);
}

function play(entry, published) {
  const { tile } = entry;
  tile.words = "Waiting for the picture…";
  tile.offer(null);
  const stream = published.play(tile.display);
  entry.stream = stream;
  const isCurrent = () => entry.stream === stream;
  stream.on(STREAM_STATUS.PLAYING, () => {
    tile.words = stream.hasVideo() ? "" : "Sound only.";
    for (const [kind, state] of [["audio", stream.getAudioState()], ["video", stream.getVideoState()]]) tile.mute(kind, state?.muted === true);
  })
    .on(STREAM_STATUS.FAILED, () => {
      if (!isCurrent()) return;
      const isGone = stream.getInfo() === STREAM_STATUS_INFO.STOPPED_BY_PUBLISHER_STOP;
      tile.words = isGone ? "The camera is off." : streamWords(stream, "The picture could not be had.");
      if (!isGone && room) tile.offer("Play", () => play(entry, published));
    })
    .on(STREAM_EVENT, (event) => {
      if (isCurrent()) onStreamEvent(stream, tile, event);
    });
}

function onStreamEvent(stream, tile, { type, payload }) {
  switch (type) {
    case STREAM_EVENT_TYPE.AUDIO_MUTED: return tile.mute("audio", true);
    case STREAM_EVENT_TYPE.AUDIO_UNMUTED: return tile.mute("audio", false);
    case STREAM_EVENT_TYPE.VIDEO_MUTED: return tile.mute("video", true);
    case STREAM_EVENT_TYPE.VIDEO_UNMUTED: return tile.mute("video", false);
    case STREAM_EVENT_TYPE.AUDIO_LEVEL: return speakers.hear(tile, payload);
    case STREAM_EVENT_TYPE.PLAYBACK_MUTED:
    case STREAM_EVENT_TYPE.PLAYBACK_BLOCKED:
      return tile.offer("Turn sound on", () => {
        stream.unmuteRemoteAudio();
        tile.offer(null);
      });
    default: return undefined;
  }
}

function hideStream(login, streamName) {
  const person = people.get(login);
  const entry = person?.shown.get(streamName);
  if (!entry) return;
  person.shown.delete(streamName);
  const { tile, stream } = entry;
  entry.stream = null;
  stream.stop();
  speakers.forget(tile);
  tile.offer(null);
  if (tile !== person.main) return tile.remove();
  tile.mute("audio", false);
  tile.mute("video", false);
  tile.words = "The camera is off.";
}

function removePerson(login) {
  const person = people.get(login);
  if (!person) return;
  for (const streamName of [...person.shown.keys()]) hideStream(login, streamName);
  person.main.remove();
  people.delete(login);
}

// This device

const sayLocal = (status, sentence = "") => say($("localStatus"), status, $("localInfo"), sentence);

function publish() {
  own ??= { tile: new Tile(connection.username(), "own"), stream: null };
  own.tile.words = "Opening camera and microphone…";
  sayLocal(STREAM_STATUS.PENDING, "Opening camera and microphone…");
  const entry = own;
  const stream = room.publish({
    display: entry.tile.display,
    constraints: cameraConstraints(),
    record: false,
    receiveVideo: false,
    receiveAudio: false,
    cacheLocalResources: false,
  });
  entry.stream = stream;
  const onEnd = () => {
    entry.stream = null;
    entry.tile.words = "Your camera is off.";
    speakers.forget(entry.tile);
    sayLocal(stream.status(), stream.status() === STREAM_STATUS.FAILED ? streamWords(stream, "The stream failed.") : "");
    update();
  };
  stream.on(STREAM_STATUS.PUBLISHING, () => {
    sayLocal(STREAM_STATUS.PUBLISHING);
    update();
  })
    .on(STREAM_STATUS.UNPUBLISHED, onEnd)
    .on(STREAM_STATUS.FAILED, onEnd)
    .on(STREAM_EVENT, (event) => onStreamEvent(stream, entry.tile, event));
  update();
}

$("stopBtn").addEventListener("click", () => {
  if (own?.stream) own.stream.stop();
  else if (room) publish();
});
for (const [button, kind] of [[$("muteAudioBtn"), "Audio"], [$("muteVideoBtn"), "Video"]]) {
  button.addEventListener("click", () => {
    const { stream } = own;
    if (stream["is" + kind + "Muted"]()) stream["unmute" + kind]();
    else stream["mute" + kind]();
    update();
  });
}

// The screen

const sayShare = (status, sentence = "") => say($("shareStatus"), status, $("shareInfo"), sentence);

function share() {
  const video = { type: "screen", withoutExtension: true };
  for (const [field, key] of [["shareWidth", "width"], ["shareHeight", "height"], ["shareFps", "frameRate"]]) {
    if (Number($(field)?.value) > 0) video[key] = Number($(field).value);
  }
  const entry = { tile: new Tile(connection.username() + " – screen", "own-shared"), stream: null };
  entry.tile.words = "Choose what to share…";
  const stream = room.publish({
    name: "screenShare",
    display: entry.tile.display,
    constraints: { audio: false, video },
    cacheLocalResources: false,
    videoContentHint: "detail",
  });
  entry.stream = stream;
  screen = entry;
  const onEnd = () => {
    entry.tile.remove();
    if (screen === entry) screen = null;
    sayShare(stream.status(), stream.status() === STREAM_STATUS.FAILED ? streamWords(stream, "The screen could not be shared.") : "");
    update();
  };
  stream.on(STREAM_STATUS.PUBLISHING, () => sayShare(STREAM_STATUS.PUBLISHING))
    .on(STREAM_STATUS.UNPUBLISHED, onEnd)
    .on(STREAM_STATUS.FAILED, onEnd);
  sayShare(STREAM_STATUS.PENDING);
  update();
}

$("shareForm")?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (screen) screen.stream.stop();
  else if (room) share();
});
// Phones can't share their screen from a browser.
if ($("shareForm") && !navigator.mediaDevices?.getDisplayMedia) $("shareForm").hidden = true;

// Start

const addressReady = fillServerUrl($("urlServer"));
$("login").value = parameter("login") ?? "";
try {
  Flashphoner.init();
  if (parameter("roomName")) $("info").textContent = "You are invited to " + roomName + ". Enter a name and join.";
} catch (error) {
  sayConnection(SESSION_STATUS.FAILED, error.message + ", which this page needs.");
  $("joinBtn").disabled = true;
}
update();
