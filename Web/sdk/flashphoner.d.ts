// Types of the SDK, for `import Flashphoner from "/sdk/flashphoner.js"` and for the global that /flashphoner.js sets.

export type SessionStatus =
  | "PENDING" | "CONNECTED" | "ESTABLISHED" | "DISCONNECTED" | "FAILED"
  | "WARN" | "DEBUG" | "APP_DATA" | "SEND_DATA_STATUS" | "REGISTERED" | "UNREGISTERED" | "INCOMING_CALL";

export type StreamStatus =
  | "NEW" | "PENDING" | "PUBLISHING" | "PLAYING" | "PAUSED" | "UNPUBLISHED" | "STOPPED" | "FAILED" | "PLAYBACK_PROBLEM"
  | "RESIZE" | "SNAPSHOT_COMPLETE" | "NOT_ENOUGH_BANDWIDTH";

export type ConnectionQuality = "PERFECT" | "GOOD" | "BAD" | "UNKNOWN";

export type StreamEventType =
  | "audioMuted" | "audioUnmuted" | "videoMuted" | "videoUnmuted" | "data" | "resize" | "notEnoughBandwidth"
  | "snapshotCompleted" | "snapshotFailed"
  /** Who speaks in a room; the payload is an `AudioLevel`. */
  | "audioLevel"
  /** To a publisher: its recording has ended before its stream, `payload.info` says why. What there is of it stays. */
  | "recordingStopped"
  /** The browser refused sound without a click: playing muted. `unmuteRemoteAudio()` from a click ends it. */
  | "playbackMuted"
  /** The browser refused to play at all without a click. */
  | "playbackBlocked";

export interface StreamEvent {
  mediaSessionId: string;
  type: StreamEventType;
  payload?: any;
}

/** Payload of a stream event of type `audioLevel`, which comes to those who play or publish the stream in a room. */
export interface AudioLevel {
  /** RFC 6464: dB below the loudest possible, 0–127; 127 is silence. */
  level: number;
  /** Whether this stream is the loudest of its room now, and loud enough to be speech. */
  loudest?: boolean;
}

export interface AudioConstraints extends MediaTrackConstraints {
  deviceId?: string | ConstrainDOMString;
  /** bit/s, for Opus */
  bitrate?: number;
  stereo?: boolean;
  fec?: boolean;
  /** With `video.type: "screen"`: the sound of the computer instead of the microphone, where the browser can do that. */
  systemSound?: boolean;
}

export interface VideoConstraints extends Omit<MediaTrackConstraints, "width" | "height" | "frameRate"> {
  deviceId?: string | ConstrainDOMString;
  width?: number | string | ConstrainULongRange;
  height?: number | string | ConstrainULongRange;
  frameRate?: number | string | ConstrainDoubleRange;
  /** `"screen"` shares the screen. */
  type?: "camera" | "screen";
  /** kbit/s */
  bitrate?: number;
  /** kbit/s */
  minBitrate?: number;
  /** kbit/s */
  maxBitrate?: number;
  /** 0–100 */
  quality?: number;
}

export interface Constraints {
  audio?: boolean | AudioConstraints;
  video?: boolean | VideoConstraints;
  /** Publishes this instead of capturing; its tracks are not stopped by the SDK. */
  customStream?: MediaStream;
}

export interface LoggerOptions {
  /** The least important severity shown in the console; `"WARN"` unless given. */
  severity?: "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE";
  /** Whether the server gets a copy of each line. */
  push?: boolean;
}

export interface InitOptions {
  /** What streams capture that don't say. */
  constraints?: Constraints;
  logger?: LoggerOptions;
  mediaProvidersReadyCallback?: (providers: string[]) => void;
  /** Options of other media providers are taken and ignored. */
  [ignored: string]: any;
}

export interface SessionOptions {
  /** `ws://host:8080` or `wss://host:8443`, with any path */
  urlServer: string;
  appKey?: string;
  custom?: object;
  keepAlive?: boolean;
  authToken?: string;
  /** Asked for a node before connecting; `urlServer` is used when it gives none. */
  lbUrl?: string;
  /** Of every RTCPeerConnection of this session. */
  mediaOptions?: RTCConfiguration;
  /** ms to wait for the connection; 0 = as long as the browser does */
  timeout?: number;
  /** ms between pings to the server; 0 = none */
  pingInterval?: number;
  /** With `probesInterval`: the session fails after so many intervals without a ping from the server. */
  receiveProbes?: number | string;
  /** ms */
  probesInterval?: number | string;
  logger?: LoggerOptions;
  [ignored: string]: any;
}

export interface StreamOptions {
  name: string;
  /** A container in which a video element is made (its id is `stream.id()`), or a video element. */
  display?: HTMLElement | null;
  localVideo?: HTMLVideoElement;
  remoteVideo?: HTMLVideoElement;
  constraints?: Constraints;
  receiveAudio?: boolean;
  receiveVideo?: boolean;
  /** Keeps camera and microphone open in the display after the stream has ended. */
  cacheLocalResources?: boolean;
  disableConstraintsNormalization?: boolean;
  record?: boolean;
  custom?: object;
  /** Names of codecs to leave out of the offer, by comma. */
  stripCodecs?: string;
  rtmpUrl?: string;
  transport?: "UDP" | "TCP";
  cvoExtension?: boolean;
  playWidth?: number | string;
  playHeight?: number | string;
  quality?: number;
  /** kbit/s */
  bitrate?: number;
  /** kbit/s */
  minBitrate?: number;
  /** kbit/s */
  maxBitrate?: number;
  /** s */
  playoutDelay?: number;
  videoContentHint?: "" | "motion" | "detail" | "text";
  useControls?: boolean;
  /** false: a played stream starts without sound. */
  unmutePlayOnStart?: boolean;
  /** May return changed SDP. */
  sdpHook?: (sdp: { sdpString: string; type: "offer" | "answer" }) => string | void;
  [ignored: string]: any;
}

export interface TrackStats {
  codec?: string;
  bytesSent?: number;
  bytesReceived?: number;
  packetsSent?: number;
  packetsReceived?: number;
  packetsLost?: number;
  framesPerSecond?: number;
  frameWidth?: number;
  frameHeight?: number;
  [more: string]: any;
}

export interface StreamStats {
  outboundStream: { audio?: TrackStats; video?: TrackStats };
  inboundStream: { audio?: TrackStats; video?: TrackStats };
  transport?: RTCIceCandidatePairStats;
}

export interface Stream {
  publish(): void;
  play(): void;
  stop(): void;
  /** Resolves with the stream if it can be played, rejects with it otherwise; the reason is in `getInfo()`. */
  available(): Promise<Stream>;
  snapshot(): void;
  sendData(payload: any): void;

  id(): string;
  name(): string;
  status(): StreamStatus;
  /** undefined until publish() or play() */
  published(): boolean | undefined;
  hasAudio(): boolean;
  hasVideo(): boolean;
  /** What the server said last: one of STREAM_STATUS_INFO, or a snapshot. `"Local error"` when this side failed. */
  getInfo(): string | undefined;
  /** A sentence about a failure on this side. */
  getErrorInfo(): string | undefined;
  getRecordInfo(): string | undefined;
  videoResolution(): { width?: number; height?: number };
  getAudioState(): { muted: boolean } | undefined;
  getVideoState(): { muted: boolean } | undefined;
  /** bit/s, as the server's notEnoughBandwidth said */
  getRemoteBitrate(): number | string;
  /** bit/s, as the server's notEnoughBandwidth said */
  getNetworkBandwidth(): number | string;

  muteAudio(): void;
  unmuteAudio(): void;
  isAudioMuted(): boolean;
  muteVideo(): void;
  unmuteVideo(): void;
  isVideoMuted(): boolean;
  muteRemoteAudio(): void;
  unmuteRemoteAudio(): void;
  isRemoteAudioMuted(): boolean;
  /** 0–100 */
  setVolume(volume: number | string): void;
  getVolume(): number;
  /** 0–100 */
  setMicrophoneGain(volume: number): Promise<void>;
  setAudioOutputId(deviceId: string): Promise<void>;
  fullScreen(): void;

  /** Resolves with the id of the device now in use. */
  switchCam(deviceId?: string): Promise<string>;
  switchMic(deviceId?: string): Promise<string>;
  switchToScreen(): Promise<void>;
  switchToCam(): Promise<void>;

  getStats(callback?: ((stats: StreamStats) => void) | null, native?: false): Promise<StreamStats>;
  getStats(callback: ((report: RTCStatsReport) => void) | null | undefined, native: true): Promise<RTCStatsReport>;

  on(event: "STREAM_EVENT", callback: (event: StreamEvent) => void): Stream;
  on(event: "UPDATE", callback: (quality: ConnectionQuality, here: number, there: number) => void): Stream;
  on(event: StreamStatus, callback: (stream: Stream) => void): Stream;
  getLogger(): Logger;
}

export interface Session {
  id(): string;
  status(): SessionStatus;
  getServerUrl(): string;
  /** A sentence about why the session failed or ended. */
  getErrorInfo(): string | undefined;
  /** Throws unless the session is ESTABLISHED. */
  createStream(options: StreamOptions): Stream;
  getStream(id: string): Stream | undefined;
  getStreams(): Stream[];
  disconnect(): void;
  /** Settles with the server's answer. */
  sendData(payload: any): Promise<{ status: string; info?: string }>;
  submitBugReport(report: object): void;
  startDebug(): void;
  stopDebug(): void;
  on(event: "APP_DATA" | "WARN" | "DEBUG", callback: (data: any) => void): Session;
  on(event: SessionStatus, callback: (session: Session, data?: any) => void): Session;
  getLogger(): Logger;
}

export interface Logger {
  setLevel(severity: string): void;
  setPushLogs(push: boolean): void;
  error(component: string, ...parts: any[]): void;
  warn(component: string, ...parts: any[]): void;
  info(component: string, ...parts: any[]): void;
  debug(component: string, ...parts: any[]): void;
  trace(component: string, ...parts: any[]): void;
}

export interface MediaDevice {
  id: string;
  label: string;
  type: "camera" | "mic" | "speaker";
}

type Named<Names extends string> = { readonly [Name in Names]: Name };

export interface Constants {
  readonly SESSION_STATUS: Named<SessionStatus>;
  readonly STREAM_STATUS: Named<StreamStatus>;
  readonly STREAM_STATUS_INFO: { readonly [name: string]: string };
  readonly ERROR_INFO: { readonly [name: string]: string };
  readonly STREAM_EVENT: "STREAM_EVENT";
  readonly STREAM_EVENT_TYPE: { readonly [name: string]: StreamEventType };
  readonly CONNECTION_QUALITY: Named<ConnectionQuality | "UPDATE">;
  readonly MEDIA_DEVICE_KIND: Named<"INPUT" | "OUTPUT" | "ALL">;
  readonly TRANSPORT_TYPE: Named<"UDP" | "TCP">;
  readonly CALL_STATUS: { readonly [name: string]: string };
}

// Rooms.

export type RoomEvent = "STATE" | "JOINED" | "LEFT" | "PUBLISHED" | "UNPUBLISHED" | "FAILED" | "MESSAGE";

export interface RoomConnectOptions extends Omit<SessionOptions, "custom"> {
  /** The login under which others see this user; one connection has one. */
  username: string;
  token?: string;
  /** `"roomApp"` unless given */
  appKey?: string;
  custom?: object;
}

/** A stream that somebody else publishes in the room. */
export interface RoomStream {
  streamName(): string;
  isScreenShare(): boolean;
  /** Id of what was played last; undefined before that. */
  id(): string | undefined;
  play(display: HTMLElement | null, options?: Partial<StreamOptions>): Stream;
  /** Stops every playing of this stream by this page. */
  stop(): void;
}

export interface Participant {
  name(): string;
  getStreams(): RoomStream[];
  /** Resolves with whether the server took the text; never rejects. */
  sendMessage(text: string, onError?: (reason?: string) => void): Promise<boolean>;
}

export interface RoomMessage {
  from: Participant;
  text: string;
}

/** One stay in a room; once left or refused it is over, and a page joins anew. */
export interface Room {
  name(): string;
  /** Everybody else in the room. */
  getParticipants(): Participant[];
  /** `name` is a suffix, such as `"screenShare"`; `cacheLocalResources` is true unless given. */
  publish(options?: Partial<StreamOptions>): Stream;
  /** Sends to everybody else; resolves with the names of those whom the text could not be sent to. */
  sendMessage(text: string): Promise<string[]>;
  /** Ends the stay and its streams. The room is left even when this rejects. */
  leave(): Promise<Room>;
  on(event: "STATE", callback: (room: Room) => void): Room;
  on(event: "JOINED" | "LEFT", callback: (participant: Participant) => void): Room;
  on(event: "PUBLISHED" | "UNPUBLISHED", callback: (participant: Participant, stream: RoomStream) => void): Room;
  /** The room could not be joined, or the server put this user out of it. */
  on(event: "FAILED", callback: (room: Room, reason: string) => void): Room;
  on(event: "MESSAGE", callback: (message: RoomMessage) => void): Room;
}

export interface RoomSession {
  id(): string;
  status(): SessionStatus;
  getServerUrl(): string;
  /** A sentence about why the connection failed or ended. */
  getErrorInfo(): string | undefined;
  username(): string;
  /** Rooms that this connection is in or joining. */
  getRooms(): Room[];
  /** `record` asks for a recording of the whole room. */
  join(options: { name: string; record?: boolean }): Room;
  disconnect(): void;
  on(event: "CONNECTED" | "ESTABLISHED" | "DISCONNECTED" | "FAILED", callback: (session: RoomSession) => void): RoomSession;
  on(event: "WARN", callback: (session: RoomSession, warning: any) => void): RoomSession;
  getLogger(): Logger;
}

export interface RoomApiEntry {
  /** Throws without `init()`, `urlServer` or `username`. */
  connect(options: RoomConnectOptions): RoomSession;
  readonly events: Named<RoomEvent>;
  readonly sdk: FlashphonerApi;
}

export interface BrowserTests {
  isIE(): boolean;
  isFirefox(): boolean;
  isChrome(): boolean;
  isEdge(): boolean;
  isOpera(): boolean;
  isiOS(): boolean;
  isSafari(): boolean;
  isAndroid(): boolean;
  isSafariWebRTC(): boolean;
  isSamsungBrowser(): boolean;
  isAndroidFirefox(): boolean;
  isChromiumEdge(): boolean;
}

/** Call once before anything else. Throws when the browser has no WebRTC. */
export function init(options?: InitOptions): void;
export function createSession(options: SessionOptions): Session;
export function getSessions(): Session[];
export function getSession(id: string): Session | undefined;
export function getMediaProviders(): string[];
export function getMediaDevices(
  mediaProvider?: string | null, labels?: boolean, kind?: "INPUT" | "OUTPUT" | "ALL", deviceConstraints?: Constraints,
): Promise<{ audio: MediaDevice[]; video: MediaDevice[] }>;
/** Captures and previews ahead of publishing into the same display. */
export function getMediaAccess(
  constraints: Constraints | null | undefined, display: HTMLElement, mediaProvider?: string | null, disableConstraintsNormalization?: boolean,
): Promise<HTMLElement>;
/** True if something was captured for the display. */
export function releaseLocalMedia(display: HTMLElement, mediaProvider?: string): boolean;
export function playFirstSound(): Promise<void>;
export function playFirstVideo(display?: HTMLElement, isLocal?: boolean, src?: string): Promise<void>;
export function isUsingTemasys(): false;
export const firefoxScreenSharingExtensionInstalled: true;
export function createUUID(): string;
export function getLogger(): Logger;
export const constants: Constants;
export const Browser: BrowserTests;
export const RoomApi: RoomApiEntry;
/** The same as `RoomApi`. */
export const roomApi: RoomApiEntry;

export interface FlashphonerApi {
  init: typeof init;
  createSession: typeof createSession;
  getSessions: typeof getSessions;
  getSession: typeof getSession;
  getMediaProviders: typeof getMediaProviders;
  getMediaDevices: typeof getMediaDevices;
  getMediaAccess: typeof getMediaAccess;
  releaseLocalMedia: typeof releaseLocalMedia;
  playFirstSound: typeof playFirstSound;
  playFirstVideo: typeof playFirstVideo;
  isUsingTemasys: typeof isUsingTemasys;
  firefoxScreenSharingExtensionInstalled: true;
  createUUID: typeof createUUID;
  getLogger: typeof getLogger;
  constants: Constants;
  Browser: BrowserTests;
  roomApi: RoomApiEntry;
}

export const Flashphoner: FlashphonerApi;
export default Flashphoner;

declare global {
  interface Window {
    /** Set by the classic script /flashphoner.js. */
    Flashphoner: FlashphonerApi;
    /** Set by the classic script as well, also under its path /flashphoner-room-api.js. */
    RoomApi: RoomApiEntry;
  }
}
