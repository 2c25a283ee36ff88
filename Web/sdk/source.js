// SPDX-License-Identifier: Apache-2.0
// What one publishing stream sends: captured tracks, their preview, muting and the change of camera, microphone or screen.
// Owned by a Stream; keeps captured media with the display afterwards when the page asked for that.
import { capture, stopTracks, wantsScreen } from "./media.js";
import { closeElement, keepLocal, openElement, releaseLocal, startElement, takeLocal } from "./display.js";
import { createUUID } from "./events.js";

/** Captures for a display ahead of publishing, with a preview; the next publish into that display uses it. */
export async function captureForDisplay(constraints, display, asIs) {
  if (!display) throw new TypeError("getMediaAccess needs a display");
  const media = await capture(constraints, { asIs });
  releaseLocal(display);
  const element = openElement(display, createUUID() + "-LOCAL_CACHED_VIDEO", { muted: true });
  element.srcObject = media;
  startElement(element);
  keepLocal(display, media, wantsScreen(constraints), element);
  return display;
}

export class LocalSource {
  #options;
  #constraints;
  #media = null;
  #element = null;
  #closed = false;
  #gain = null;
  #cameraBeforeScreen = null;

  /** @param onEnded called when the user ends a screen share from the browser's own bar. */
  constructor(options, constraints, onEnded) {
    this.#options = options;
    this.#constraints = constraints;
    this.onEnded = onEnded;
  }

  get media() { return this.#media; }
  get element() { return this.#element; }
  get #display() { return this.#options.localVideo ?? this.#options.display; }
  track(kind) { return this.#media?.getTracks().find((track) => track.kind === kind) ?? null; }
  has(kind) { return this.track(kind) !== null; }

  /** Captures (or takes what is kept with the display) and shows the preview. Rejects with a sentence. */
  async open(streamId) {
    const screen = wantsScreen(this.#constraints);
    const wanted = { audio: Boolean(this.#constraints.audio), video: Boolean(this.#constraints.video), screen };
    const custom = this.#constraints.customStream;
    this.#media = (!custom && takeLocal(this.#display, wanted))
      || await capture(this.#constraints, { asIs: this.#options.disableConstraintsNormalization === true });
    if (this.#closed) return this.close();
    const video = this.track("video");
    if (video && this.#options.videoContentHint) video.contentHint = this.#options.videoContentHint;
    if (screen) this.#watchScreen(video);
    this.#element = openElement(this.#display, streamId, { muted: true, controls: this.#options.useControls });
    if (this.#element) {
      this.#element.srcObject = this.#media;
      startElement(this.#element);
    }
  }

  /** True when the track exists and is not muted. A stream without such a track counts as muted. */
  isSending(kind) { return this.track(kind)?.enabled === true; }

  /** Returns whether there was something to change. */
  setSending(kind, sending) {
    const track = this.track(kind);
    if (!track || track.enabled === sending) return false;
    track.enabled = sending;
    return true;
  }

  /** Sends another camera: `deviceId`, or the one after the current. */
  async switchCamera(peer, deviceId) {
    const id = deviceId ?? await this.#nextDevice("videoinput", this.track("video"));
    // Phones can't open two cameras at once, so the old one has to go first.
    this.track("video")?.stop();
    const { type, withoutExtension, facingMode, ...rest } = typeof this.#constraints.video === "object" ? this.#constraints.video : {};
    const media = await capture({ audio: false, video: { ...rest, deviceId: id } });
    await this.#replace(peer, media.getVideoTracks()[0]);
    return id;
  }

  async switchMicrophone(peer, deviceId) {
    const id = deviceId ?? await this.#nextDevice("audioinput", this.track("audio"));
    const rest = typeof this.#constraints.audio === "object" ? this.#constraints.audio : {};
    const media = await capture({ video: false, audio: { ...rest, deviceId: id } });
    this.#closeGain();
    await this.#replace(peer, media.getAudioTracks()[0]);
    return id;
  }

  async switchToScreen(peer) {
    const media = await capture({ audio: false, video: { type: "screen" } });
    const camera = this.track("video");
    this.#cameraBeforeScreen = camera?.getSettings().deviceId ?? null;
    await this.#replace(peer, media.getVideoTracks()[0]);
    // Ending the share from the browser's bar brings the camera back instead of ending the stream.
    media.getVideoTracks()[0].addEventListener("ended", () => {
      if (!this.#closed) this.switchToCamera(peer).catch(() => this.onEnded());
    });
  }

  async switchToCamera(peer) {
    const camera = this.#cameraBeforeScreen;
    const media = await capture({ audio: false, video: camera ? { deviceId: camera } : true });
    await this.#replace(peer, media.getVideoTracks()[0]);
  }

  /** Microphone volume, 0–100 (100 = as captured). */
  async setGain(peer, volume) {
    const value = Math.min(100, Math.max(0, Number(volume))) / 100;
    if (!this.#gain) {
      const track = this.track("audio");
      if (!track) return;
      const context = new AudioContext();
      const node = context.createGain();
      const output = context.createMediaStreamDestination();
      context.createMediaStreamSource(new MediaStream([track])).connect(node).connect(output);
      this.#gain = { context, node };
      await peer.sender("audio")?.replaceTrack(output.stream.getAudioTracks()[0]);
    }
    this.#gain.node.gain.value = value;
  }

  /** Takes the preview away; media is kept with the display if the page asked for it, else stopped. */
  close() {
    this.#closed = true;
    this.#closeGain();
    const media = this.#media;
    const display = this.#display;
    const element = this.#element;
    this.#element = null;
    if (!media) return;
    this.#media = null;
    const alive = media.getTracks().some((track) => track.readyState === "live");
    // Without an element the stream was stopped before its preview was up: an open camera must not go unseen.
    if (this.#options.cacheLocalResources && element && alive && !this.#constraints.customStream) {
      if (element !== display) element.id = createUUID() + "-LOCAL_CACHED_VIDEO";
      releaseLocal(display);
      return keepLocal(display, media, wantsScreen(this.#constraints), element);
    }
    // Tracks of a stream that the page made itself are the page's to stop.
    if (!this.#constraints.customStream) stopTracks(media);
    closeElement(display, element);
  }

  #watchScreen(track) {
    track?.addEventListener("ended", () => {
      if (!this.#closed && this.track("video") === track) this.onEnded();
    });
  }

  async #nextDevice(kind, current) {
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind);
    if (devices.length === 0) throw new Error("There is no other device to switch to.");
    const index = devices.findIndex((device) => device.deviceId === current?.getSettings().deviceId);
    return devices[(index + 1) % devices.length].deviceId;
  }

  async #replace(peer, track) {
    const old = this.track(track.kind);
    if (this.#closed || !this.#media) return track.stop();
    if (old) track.enabled = old.enabled;
    const sender = peer.sender(track.kind);
    if (!sender) {
      track.stop();
      throw new Error("The stream was published without " + track.kind + ", which can't be added now.");
    }
    await sender.replaceTrack(track);
    if (old) {
      this.#media.removeTrack(old);
      old.stop();
    }
    this.#media.addTrack(track);
    if (this.#element) startElement(this.#element);
  }

  #closeGain() {
    this.#gain?.context.close();
    this.#gain = null;
  }
}
