// SPDX-License-Identifier: Apache-2.0
// Figures of a running stream in the form WCS pages read, and the comparison of both ends' video rates. Used by Stream.
import { CONNECTION_QUALITY } from "./constants.js";

/**
 * `{outboundStream: {audio, video}, inboundStream: {audio, video}, transport}`: the browser's own records with the name of the
 * codec added. Parts that don't exist are absent.
 */
export function summarize(report) {
  const result = { outboundStream: {}, inboundStream: {} };
  report.forEach((record) => {
    if (record.type === "outbound-rtp" || record.type === "inbound-rtp") {
      const side = record.type === "outbound-rtp" ? result.outboundStream : result.inboundStream;
      const codec = report.get(record.codecId);
      side[record.kind] = { ...record, codec: codec?.mimeType?.split("/")[1] };
    } else if (record.type === "candidate-pair" && record.nominated && record.state === "succeeded") {
      result.transport = { ...record };
    }
  });
  report.forEach((record) => {
    // Loss and round trip as the server saw them belong to what we send.
    if (record.type !== "remote-inbound-rtp") return;
    const sent = result.outboundStream[record.kind];
    if (sent) Object.assign(sent, { packetsLost: record.packetsLost, roundTripTime: record.roundTripTime });
  });
  return result;
}

/** Video bytes sent (publisher) or received (player) so far. */
export function videoBytes(report, isPublisher) {
  let bytes = 0;
  report.forEach((record) => {
    if (record.kind !== "video") return;
    if (isPublisher && record.type === "outbound-rtp") bytes += record.bytesSent ?? 0;
    if (!isPublisher && record.type === "inbound-rtp") bytes += record.bytesReceived ?? 0;
  });
  return bytes;
}

/** Compares this end's video rate with the server's, both smoothed, and names the quality of the connection between them. */
export class QualityMeter {
  #last = null;
  #here = null;
  #there = null;

  /** @returns `{quality, here, there}` with rates in bit/s, or null for the first report, which has nothing to compare with. */
  update(bytes, serverRate, milliseconds) {
    const last = this.#last;
    this.#last = { bytes, milliseconds };
    if (!last || milliseconds <= last.milliseconds) return null;
    const rate = (bytes - last.bytes) * 8000 / (milliseconds - last.milliseconds);
    this.#here = smoothed(this.#here, rate);
    this.#there = smoothed(this.#there, serverRate);
    return { quality: classify(this.#here, this.#there), here: this.#here, there: this.#there };
  }
}

const smoothed = (old, value) => (old === null ? value : old + 0.3 * (value - old));

function classify(here, there) {
  if (!(here > 0) || !(there > 0)) return CONNECTION_QUALITY.UNKNOWN;
  const difference = Math.abs(here - there) / Math.min(here, there);
  // Near-silent video (a still screen) makes ratios meaningless.
  if (Math.min(here, there) < 50_000) return difference > 1.5 ? CONNECTION_QUALITY.BAD : CONNECTION_QUALITY.PERFECT;
  if (difference > 0.5) return CONNECTION_QUALITY.BAD;
  return difference > 0.2 ? CONNECTION_QUALITY.GOOD : CONNECTION_QUALITY.PERFECT;
}
