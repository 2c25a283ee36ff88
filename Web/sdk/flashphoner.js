// SPDX-License-Identifier: Apache-2.0
// The door of the SDK: what pages import, or find as the global `Flashphoner` after loading /flashphoner.js.
import { Browser } from "./browser.js";
import * as constants from "./constants.js";
import { createUUID } from "./events.js";
import { Logger } from "./logger.js";
import { listDevices } from "./media.js";
import { releaseLocal } from "./display.js";
import { makeRoomApi } from "./room-session.js";
import { Session } from "./session.js";
import { captureForDisplay } from "./source.js";

const sessions = new Map();
const defaults = { constraints: undefined, logger: undefined };
let initialized = false;
let logger = new Logger();

/** Call once before anything else. Throws when the browser has no WebRTC. Options of other media providers are ignored. */
export function init(options = {}) {
  if (typeof RTCPeerConnection === "undefined") throw new Error(constants.ERROR_INFO.NONE_OF_MEDIAPROVIDERS_AVAILABLE);
  defaults.constraints = options.constraints;
  defaults.logger = options.logger;
  logger = new Logger(options.logger);
  initialized = true;
  if (typeof options.mediaProvidersReadyCallback === "function") {
    options.mediaProvidersReadyCallback(getMediaProviders());
  }
}

function requireInit() {
  if (!initialized) throw new Error(constants.ERROR_INFO.FLASHPHONER_API_NOT_INITIALIZED);
}

/** Makes a session and starts connecting; hear of the outcome through `on`. */
export function createSession(options) {
  requireInit();
  if (!options?.urlServer) throw new TypeError(constants.ERROR_INFO.OPTIONS_URLSERVER_MISSED);
  const session = new Session(options, defaults, (ended) => sessions.delete(ended.id()));
  sessions.set(session.id(), session);
  return session;
}

/** Sessions that have not ended. */
export const getSessions = () => [...sessions.values()];
export const getSession = (id) => sessions.get(id);
export const getMediaProviders = () => (initialized ? ["WebRTC"] : []);

/** See `listDevices`; the first argument names a media provider in other SDKs and is ignored. */
export function getMediaDevices(mediaProvider, labels, kind, deviceConstraints) {
  requireInit();
  return listDevices(labels, kind, deviceConstraints);
}

/** Captures and previews in `display` ahead of publishing there. Resolves with the display, rejects with a sentence. */
export function getMediaAccess(constraints, display, mediaProvider, disableConstraintsNormalization) {
  requireInit();
  const wanted = constraints ?? defaults.constraints ?? { audio: true, video: true };
  return captureForDisplay(wanted, display, disableConstraintsNormalization === true);
}

/** Stops what was captured for `display`. True if there was anything. */
export function releaseLocalMedia(display) {
  requireInit();
  return releaseLocal(display);
}

// Pages written for older browsers call these from a click before play(). play() itself makes use of the click here.
export const playFirstSound = () => Promise.resolve();
export const playFirstVideo = () => Promise.resolve();
export const isUsingTemasys = () => false;
export const firefoxScreenSharingExtensionInstalled = true;
export const getLogger = () => logger;

/** Rooms; the global `RoomApi` of /flashphoner.js. */
export const roomApi = makeRoomApi(createSession, () => Flashphoner);
export const RoomApi = roomApi;

export { Browser, constants, createUUID };

export const Flashphoner = Object.freeze({
  init, createSession, getSessions, getSession, getMediaProviders, getMediaDevices, getMediaAccess, releaseLocalMedia,
  playFirstSound, playFirstVideo, isUsingTemasys, firefoxScreenSharingExtensionInstalled, getLogger, createUUID,
  Browser, constants, roomApi,
});

export default Flashphoner;
