// SPDX-License-Identifier: Apache-2.0
// One WebSocket session with a server: handshake, liveness, and the way of each message to its stream. Made by
// Flashphoner.createSession; there is no reconnecting, a lost session is over and a page makes a new one.
import { ERROR_INFO, SESSION_STATUS } from "./constants.js";
import { Callbacks, createUUID } from "./events.js";
import { Logger } from "./logger.js";
import { Stream } from "./stream.js";

const CLIENT_VERSION = "2.0";
const LOAD_BALANCER_ANSWER = 5_000;
const DATA_CONFIRMATION = 30_000;

export class Session {
  #options;
  #id = createUUID();
  #status = SESSION_STATUS.PENDING;
  #errorInfo;
  #callbacks = new Callbacks();
  #socket = null;
  #url;
  #streams = new Map();
  #operations = new Map();
  #timers = [];
  #missedPings = 0;
  #onEnd;

  /** @param defaults `{constraints, logger}` of Flashphoner.init; @param onEnd called once, before the page hears of the end. */
  constructor(options, defaults, onEnd) {
    this.#options = options;
    this.#url = options.urlServer;
    this.#onEnd = onEnd;
    this.constraints = defaults.constraints;
    this.mediaOptions = options.mediaOptions;
    this.logger = new Logger(options.logger ?? defaults.logger);
    // After this tick, so that the page has its callbacks in place whatever happens.
    Promise.resolve().then(() => this.#start());
  }

  id() { return this.#id; }
  status() { return this.#status; }
  getServerUrl() { return this.#options.urlServer; }
  /** A sentence about why the session failed or ended; undefined while all is well. */
  getErrorInfo() { return this.#errorInfo; }
  getStream(id) { return this.#streams.get(id); }
  getStreams() { return [...this.#streams.values()]; }
  getLogger() { return this.logger; }

  on(event, callback) {
    this.#callbacks.set(event, callback);
    return this;
  }

  createStream(options) {
    if (!this.isEstablished) throw new Error(ERROR_INFO.INVALID_SESSION_STATE + " (" + this.#status + ").");
    const stream = new Stream(this, options);
    this.adopt(stream);
    return stream;
  }

  createCall() {
    throw new Error("This SDK has no SIP calls.");
  }

  disconnect() {
    if (this.#isOver) return;
    this.#errorInfo = "The session was closed by this page.";
    if (this.#socket) this.#socket.close();
    else this.#end(SESSION_STATUS.DISCONNECTED);
  }

  /** Sends any JSON value to the server's application; settles with its answer. */
  sendData(payload) {
    return new Promise((resolve, reject) => {
      if (!this.isEstablished) return reject({ status: "FAILED", info: ERROR_INFO.INVALID_SESSION_STATE });
      const operationId = createUUID();
      const timer = setTimeout(() => this.#settle({ operationId, status: "FAILED", info: "The server gave no answer" }), DATA_CONFIRMATION);
      this.#operations.set(operationId, { resolve, reject, timer });
      this.send("sendData", { operationId, payload });
    });
  }

  submitBugReport(report) { this.send("submitBugReport", report); }

  startDebug() {
    this.logger.setPushLogs(true);
    this.logger.setLevel("DEBUG");
    this.send("sessionDebug", { command: "start" });
  }

  stopDebug() {
    this.logger.setPushLogs(false);
    this.logger.setLevel("WARN");
    this.send("sessionDebug", { command: "stop" });
  }

  // For streams.

  get isEstablished() { return this.#status === SESSION_STATUS.ESTABLISHED; }
  adopt(stream) { if (!this.#isOver) this.#streams.set(stream.id(), stream); }
  release(stream) { this.#streams.delete(stream.id()); }

  /** Sends one frame; does nothing when the socket is not open, since the loss itself is reported to everybody. */
  send(message, argument = null) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ message, data: [argument] }));
  }

  // Connecting.

  get #isOver() { return this.#status === SESSION_STATUS.FAILED || this.#status === SESSION_STATUS.DISCONNECTED; }

  async #start() {
    if (this.#isOver) return;
    if (this.#options.lbUrl) this.#url = await balancedUrl(this.#options.lbUrl, this.#url);
    if (this.#isOver) return;
    try {
      this.#socket = new WebSocket(this.#url);
    } catch (error) {
      const mixed = error.name === "SecurityError" && location.protocol === "https:";
      return this.#fail(mixed
        ? "A page opened over https:// can connect to wss:// addresses only, not to " + this.#url + "."
        : "\u201c" + this.#url + "\u201d is not a WebSocket address such as ws://host:8080 or wss://host:8443.");
    }
    const socket = this.#socket;
    let timeout;
    if (Number(this.#options.timeout) > 0) {
      timeout = setTimeout(() => {
        if (socket.readyState !== WebSocket.CONNECTING) return;
        this.#fail("No answer from " + this.#url + " within " + this.#options.timeout + " ms.");
      }, Number(this.#options.timeout));
    }
    socket.onopen = () => {
      clearTimeout(timeout);
      this.#opened();
    };
    socket.onmessage = ({ data }) => { if (typeof data === "string") this.#receive(data); };
    socket.onclose = () => {
      clearTimeout(timeout);
      if (this.#status === SESSION_STATUS.PENDING && !this.#errorInfo) this.#fail(this.#unreachable());
      else this.#end(SESSION_STATUS.DISCONNECTED, this.#errorInfo ?? "The connection to the server was lost.");
    };
    socket.onerror = () => {
      if (!this.#errorInfo) this.#fail(this.#status === SESSION_STATUS.PENDING ? this.#unreachable() : "The connection to the server broke.");
    };
  }

  #unreachable() {
    const certificate = /^wss:/.test(this.#url) ? " or its certificate is not trusted by this browser" : "";
    return "No connection to " + this.#url + ": no server answers there" + certificate + ".";
  }

  #opened() {
    this.logger.setSender((logs) => this.send("pushLogs", { logs }));
    this.#setStatus(SESSION_STATUS.CONNECTED);
    const { appKey = "defaultApp", keepAlive, authToken, custom } = this.#options;
    this.send("connection", {
      appKey,
      mediaProviders: ["WebRTC"],
      keepAlive,
      authToken,
      clientVersion: CLIENT_VERSION,
      clientOSVersion: navigator.appVersion,
      clientBrowserVersion: navigator.userAgent,
      msePacketizationVersion: 2,
      custom,
    });
    const { pingInterval, receiveProbes, probesInterval } = this.#options;
    if (Number(pingInterval) > 0) this.#timers.push(setInterval(() => this.send("ping"), Number(pingInterval)));
    if (Number(receiveProbes) > 0 && Number(probesInterval) > 0) {
      this.#timers.push(setInterval(() => {
        this.#missedPings += 1;
        if (this.#missedPings >= Number(receiveProbes)) this.#fail("The server has stopped answering.");
      }, Number(probesInterval)));
    }
  }

  // Messages.

  #receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return this.logger.warn("Session", "a frame that is not JSON was ignored");
    }
    const [first, second] = Array.isArray(frame?.data) ? frame.data : [];
    const about = first && typeof first === "object" ? first : {};
    const stream = this.#streams.get(about.mediaSessionId);
    switch (frame?.message) {
      case "ping":
        this.#missedPings = 0;
        return this.send("pong");
      case "getUserData":
        if (this.#isOver) return undefined;
        return this.#setStatus(SESSION_STATUS.ESTABLISHED, about);
      case "registered": return this.#callbacks.call(SESSION_STATUS.REGISTERED, this);
      case "setRemoteSDP": return this.#streams.get(first)?.receiveAnswer(second);
      case "notifyStreamStatusEvent":
      case "notifyVideoFormat": return stream?.receiveStatus(about);
      case "notifyStreamEvent": return stream?.receiveEvent(about);
      case "availableStream": return this.#streams.get(about.id)?.receiveAvailability(about);
      case "inboundVideoRate":
      case "outboundVideoRate": return stream?.receiveRate(about.videoRate);
      case "DataStatusEvent": return this.#settle(about);
      case "OnDataEvent": return this.#callbacks.call(SESSION_STATUS.APP_DATA, about);
      case "notifySessionDebugEvent": return this.#callbacks.call(SESSION_STATUS.DEBUG, about);
      case "fail":
        if (about.apiMethod === "StreamStatusEvent") this.#streams.get(about.id)?.receiveStatus(about);
        return this.#callbacks.call(SESSION_STATUS.WARN, about);
      default:
        return this.logger.debug("Session", "ignored", frame?.message);
    }
  }

  #settle({ operationId, ...outcome }) {
    const operation = this.#operations.get(operationId);
    if (!operation) return;
    this.#operations.delete(operationId);
    clearTimeout(operation.timer);
    if (outcome.status === "ACCEPTED") operation.resolve(outcome);
    else operation.reject(outcome);
  }

  #setStatus(status, ...values) {
    this.#status = status;
    this.#callbacks.call(status, this, ...values);
  }

  #fail(sentence) {
    this.#errorInfo = sentence;
    this.#end(SESSION_STATUS.FAILED, sentence);
    this.#socket?.close();
  }

  #end(status, sentence) {
    if (this.#isOver) return;
    this.#errorInfo = sentence ?? this.#errorInfo;
    this.#timers.forEach(clearInterval);
    this.logger.setSender(null);
    this.#status = status;
    this.#onEnd(this);
    // Streams hear of it first, so that a page sees them ended when it hears of the session.
    for (const stream of this.getStreams()) stream.receiveConnectionLoss(this.#errorInfo);
    this.#streams.clear();
    for (const operationId of [...this.#operations.keys()]) this.#settle({ operationId, status: "FAILED", info: this.#errorInfo });
    this.#callbacks.call(status, this);
  }
}

/** Asks a load balancer which node to use; without a usable answer it is the given one. */
async function balancedUrl(lbUrl, url) {
  try {
    const response = await fetch(lbUrl, { signal: AbortSignal.timeout(LOAD_BALANCER_ANSWER) });
    if (!response.ok) return url;
    const { server, ws, wss } = await response.json();
    if (!server) return url;
    return url.includes("wss://") ? "wss://" + server + ":" + wss : "ws://" + server + ":" + ws;
  } catch {
    return url;
  }
}
