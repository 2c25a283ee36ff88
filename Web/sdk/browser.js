// SPDX-License-Identifier: Apache-2.0
// Which browser this is, asked only where no feature can be tested instead (and by WCS pages through `Flashphoner.Browser`).

const agent = () => (typeof navigator === "undefined" ? "" : navigator.userAgent);

const isiOS = () => /iPhone|iPad|iPod/.test(agent())
  // iPadOS calls itself a Mac; no Mac has a touch screen.
  || (/Macintosh/.test(agent()) && typeof navigator !== "undefined" && navigator.maxTouchPoints > 1);
const isAndroid = () => /Android/.test(agent());
const isFirefox = () => /Firefox\/|FxiOS/.test(agent());
const isEdge = () => /Edge\//.test(agent());
const isChromiumEdge = () => /Edg(A|iOS)?\//.test(agent());
const isOpera = () => /OPR\//.test(agent());
const isSamsungBrowser = () => /SamsungBrowser/.test(agent());
const isChrome = () => /Chrome\/|Chromium\//.test(agent()) && !isEdge() && !isOpera();
const isSafari = () => /Safari\//.test(agent()) && !/Chrome|Chromium|CriOS|Android|FxiOS/.test(agent());

export const Browser = Object.freeze({
  isIE: () => false,
  isFirefox,
  isChrome,
  isEdge,
  isOpera,
  isiOS,
  isSafari,
  isAndroid,
  isSafariWebRTC: () => isSafari() && typeof RTCPeerConnection !== "undefined",
  isSamsungBrowser,
  isAndroidFirefox: () => isAndroid() && isFirefox(),
  isChromiumEdge,
});
