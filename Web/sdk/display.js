// SPDX-License-Identifier: Apache-2.0
// Video elements inside the displays that pages hand over, and the local media kept with a display between two publishes.
// Used by Stream; a display is either a container, in which an element is made, or a <video> element of the page.

const isVideo = (display) => display instanceof HTMLVideoElement;

/** Makes (or takes) the element for a stream. `id` becomes the id of an element made here. Null without a display. */
export function openElement(display, id, { muted, controls }) {
  if (!display) return null;
  const element = isVideo(display) ? display : document.createElement("video");
  element.autoplay = true;
  element.playsInline = true;
  element.muted = muted;
  element.setAttribute("playsinline", "");
  if (controls) element.controls = true;
  if (!isVideo(display)) {
    element.id = id;
    display.append(element);
  }
  return element;
}

/** Ends what the element shows and takes it away if it was made here. */
export function closeElement(display, element) {
  if (!element) return;
  element.pause();
  element.srcObject = null;
  if (!isVideo(display)) element.remove();
}

/**
 * Starts playback. Browsers may refuse sound before the user has touched the page: then it starts muted.
 * Resolves to "playing", "muted" (playing without sound) or "blocked".
 */
export async function startElement(element) {
  try {
    await element.play();
    return "playing";
  } catch (error) {
    // AbortError: the source was changed or removed meanwhile; whoever did that has started it again or wants it gone.
    if (error.name !== "NotAllowedError") return "playing";
    if (element.muted) return "blocked";
  }
  element.muted = true;
  try {
    await element.play();
    return "muted";
  } catch (error) {
    return error.name === "NotAllowedError" ? "blocked" : "muted";
  }
}

/** Full screen on, or off again. iPhones can do it for the video element only. */
export function toggleFullScreen(element) {
  const current = document.fullscreenElement || document.webkitFullscreenElement;
  if (current) return (document.exitFullscreen || document.webkitExitFullscreen).call(document);
  const enter = element.requestFullscreen || element.webkitRequestFullscreen || element.webkitEnterFullscreen;
  if (enter) return enter.call(element);
  return undefined;
}

// What is captured for a display while no stream uses it: {media, screen, element}.
const kept = new WeakMap();

/** Keeps captured media with its display, in place of what was kept before. */
export function keepLocal(display, media, screen, element) {
  kept.set(display, { media, screen, element });
}

/** Takes kept media out if it is alive and has the tracks that are asked for; what doesn't fit is released. */
export function takeLocal(display, { audio, video, screen }) {
  const entry = display && kept.get(display);
  if (!entry) return null;
  const live = (tracks) => tracks.some((track) => track.readyState === "live");
  const fits = entry.screen === screen
    && (!audio || live(entry.media.getAudioTracks()))
    && (!video || live(entry.media.getVideoTracks()));
  if (!fits) {
    releaseLocal(display);
    return null;
  }
  kept.delete(display);
  closeElement(display, entry.element);
  entry.media.getTracks().forEach((track) => { track.enabled = true; });
  return entry.media;
}

/** Stops kept media. True if there was any. */
export function releaseLocal(display) {
  const entry = display && kept.get(display);
  if (!entry) return false;
  kept.delete(display);
  entry.media.getTracks().forEach((track) => track.stop());
  closeElement(display, entry.element);
  return true;
}
