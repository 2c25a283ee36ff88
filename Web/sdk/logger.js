// SPDX-License-Identifier: Apache-2.0
// What the SDK tells about itself: the console up to a severity, and the server (`pushLogs`) when a page asks for it.
// One per session, handed to its streams.

const SEVERITIES = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const CONSOLE_METHODS = { ERROR: "error", WARN: "warn", INFO: "info", DEBUG: "debug", TRACE: "debug" };

export class Logger {
  #limit;
  #push;
  #send = null;

  /** @param options `{severity, push}`: the least important severity shown (default WARN) and whether the server gets a copy. */
  constructor(options = {}) {
    this.setLevel(options.severity ?? "WARN");
    this.#push = options.push === true;
  }

  setLevel(severity) {
    const index = SEVERITIES.indexOf(String(severity).toUpperCase());
    this.#limit = index < 0 ? SEVERITIES.indexOf("WARN") : index;
  }

  /** Says how a line gets to the server; null once the connection is gone. */
  setSender(send) { this.#send = send; }
  setPushLogs(push) { this.#push = push === true; }

  error(component, ...parts) { this.#write("ERROR", component, parts); }
  warn(component, ...parts) { this.#write("WARN", component, parts); }
  info(component, ...parts) { this.#write("INFO", component, parts); }
  debug(component, ...parts) { this.#write("DEBUG", component, parts); }
  trace(component, ...parts) { this.#write("TRACE", component, parts); }

  #write(severity, component, parts) {
    if (SEVERITIES.indexOf(severity) <= this.#limit) {
      console[CONSOLE_METHODS[severity]]("[" + component + "]", ...parts);
    }
    if (this.#push && this.#send) {
      const time = new Date().toISOString().slice(11, 19);
      this.#send(time + " " + severity + " " + component + " - " + JSON.stringify(parts.map(String).join(" ")) + "\n");
    }
  }
}
