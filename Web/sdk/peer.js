// SPDX-License-Identifier: Apache-2.0
// One RTCPeerConnection: makes the offer, takes the answer, gives tracks and figures. Owned by one Stream, which says when to close it.
import { Browser } from "./browser.js";
import { setFormatParameters, stripCodecs } from "./sdp.js";

export class Peer {
  #connection;
  #answered = false;

  /** @param configuration the session's `mediaOptions`; @param onFailed called when the browser has given up on the connection. */
  constructor(configuration, onFailed) {
    // max-compat: answers with one port per m-line work as well as bundled ones.
    this.#connection = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-compat", ...configuration });
    this.#connection.addEventListener("connectionstatechange", () => {
      if (this.#connection.connectionState === "failed") onFailed();
    });
  }

  get connection() { return this.#connection; }
  get isAnswered() { return this.#answered; }

  sendTracks(media) {
    for (const track of media.getTracks()) {
      this.#connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
    }
  }

  receive(kinds) {
    for (const kind of kinds) this.#connection.addTransceiver(kind, { direction: "recvonly" });
  }

  sender(kind) {
    return this.#connection.getSenders().find((sender) => sender.track?.kind === kind) ?? null;
  }

  /**
   * The text to send. There is no trickling in WCS signalling and no waiting either: the server learns this side's addresses
   * from the connectivity checks, so the offer goes out without candidates.
   */
  async offer({ stereo, strip, hook }) {
    const offer = await this.#connection.createOffer();
    let sdp = offer.sdp;
    if (stereo) sdp = setFormatParameters(sdp, "audio", "opus", { stereo: 1, "sprop-stereo": 1 });
    await this.#connection.setLocalDescription({ type: "offer", sdp });
    if (strip) sdp = stripCodecs(sdp, strip);
    return applyHook(hook, "offer", sdp);
  }

  /** Applies the server's answer and the rates of `audio`/`video` constraints (kbit/s for video, bit/s for Opus). */
  async answer(sdp, { audio = {}, rates = {}, hook }) {
    this.#answered = true;
    sdp = setFormatParameters(sdp, "audio", "opus", {
      maxaveragebitrate: positive(audio.bitrate),
      stereo: audio.stereo ? 1 : undefined,
      useinbandfec: audio.fec === undefined ? undefined : Number(Boolean(audio.fec)),
    });
    const minimum = positive(rates.minBitrate);
    if (minimum && !Browser.isFirefox()) {
      for (const codec of ["VP8", "VP9", "H264", "AV1"]) {
        sdp = setFormatParameters(sdp, "video", codec, { "x-google-min-bitrate": minimum });
      }
    }
    await this.#connection.setRemoteDescription({ type: "answer", sdp: applyHook(hook, "answer", sdp) });
    if (positive(rates.maxBitrate)) await this.#limitVideo(positive(rates.maxBitrate) * 1000);
  }

  async #limitVideo(bitsPerSecond) {
    const sender = this.sender("video");
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    parameters.encodings.forEach((encoding) => { encoding.maxBitrate = bitsPerSecond; });
    try {
      await sender.setParameters(parameters);
    } catch {
      // A limit is a wish; a browser that can't keep it still sends.
    }
  }

  /** Asks receivers to hold media back this long, seconds. */
  delayPlayout(seconds) {
    for (const receiver of this.#connection.getReceivers()) {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = Math.min(4000, seconds * 1000);
      else if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = seconds;
    }
  }

  remoteTracks() {
    return this.#connection.getTransceivers()
      .filter((transceiver) => /recv/.test(transceiver.currentDirection ?? ""))
      .map((transceiver) => transceiver.receiver.track);
  }

  close() { this.#connection.close(); }
}

const positive = (value) => (Number(value) > 0 ? Number(value) : undefined);

function applyHook(hook, type, sdp) {
  if (typeof hook !== "function") return sdp;
  const changed = hook({ sdpString: sdp, type });
  return typeof changed === "string" && changed ? changed : sdp;
}
