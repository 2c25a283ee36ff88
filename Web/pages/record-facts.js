// SPDX-License-Identifier: Apache-2.0
// How records are addressed and described; shared by the pages that show them.

/** Where a record is served: on the page's own host. */
export const recordUrl = (name) => "/client/records/" + encodeURIComponent(name);

export function sizeText(bytes) {
  if (bytes >= 1e9) return (bytes / 1e9).toFixed(1) + " GB";
  return bytes >= 1e6 ? (bytes / 1e6).toFixed(1) + " MB" : Math.max(1, Math.round(bytes / 1e3)) + " kB";
}

/** 65000 → "1:05". */
export function timeText(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, index) => (index === 0 ? part : String(part).padStart(2, "0"))).join(":");
}
