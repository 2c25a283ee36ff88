// SPDX-License-Identifier: Apache-2.0
// Edits of offers and answers that no browser API covers: codecs left out, stereo, rate hints. Pure functions on SDP text.

/** Splits into the session part and one text per m-line; joining them gives the input again. */
const sections = (sdp) => sdp.split(/^(?=m=)/m);
const lineEnd = (sdp) => (sdp.includes("\r\n") ? "\r\n" : "\n");

/**
 * Leaves out every codec whose name contains one of the comma-separated `names` (case-insensitive), with the RTX that belongs
 * to it. A section that would lose its last codec stays as it is: an m-line without formats is not valid SDP.
 */
export function stripCodecs(sdp, names) {
  const wanted = String(names).split(",").map((name) => name.trim().toLowerCase()).filter(Boolean);
  if (wanted.length === 0) return sdp;
  return sections(sdp).map((section) => {
    if (!/^m=(audio|video) /.test(section)) return section;
    const removed = new Set();
    for (const [, type, name] of section.matchAll(/^a=rtpmap:(\d+) ([^/\r\n]+)/gm)) {
      if (wanted.some((part) => name.toLowerCase().includes(part))) removed.add(type);
    }
    for (const [, type, apt] of section.matchAll(/^a=fmtp:(\d+) [^\r\n]*\bapt=(\d+)/gm)) {
      if (removed.has(apt)) removed.add(type);
    }
    return without(section, removed);
  }).join("");
}

function without(section, removed) {
  if (removed.size === 0) return section;
  const lines = section.split(/\r?\n/);
  const head = lines[0].split(" ");
  const formats = head.slice(3).filter((type) => !removed.has(type));
  if (formats.length === 0) return section;
  lines[0] = [...head.slice(0, 3), ...formats].join(" ");
  return lines.filter((line) => {
    const attribute = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)[ ]/.exec(line);
    return !attribute || !removed.has(attribute[1]);
  }).join(lineEnd(section));
}

/**
 * Sets format parameters of the codecs named `codec` in sections of `kind`, replacing those of the same key.
 * @param parameters e.g. `{stereo: 1}`; undefined values are left out.
 */
export function setFormatParameters(sdp, kind, codec, parameters) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return sdp;
  return sections(sdp).map((section) => {
    if (!section.startsWith("m=" + kind + " ")) return section;
    const end = lineEnd(section);
    const name = codec.replace(/[^\w-]/g, "\\$&");
    const types = Array.from(section.matchAll(new RegExp("^a=rtpmap:(\\d+) " + name + "/", "gim")), (match) => match[1]);
    for (const type of types) section = withParameters(section, type, entries, end);
    return section;
  }).join("");
}

function withParameters(section, type, entries, end) {
  const line = new RegExp("^a=fmtp:" + type + " ([^\\r\\n]*)", "m");
  const found = line.exec(section);
  if (!found) {
    const text = entries.map(([key, value]) => key + "=" + value).join(";");
    return section.replace(new RegExp("^(a=rtpmap:" + type + " [^\\r\\n]*)", "m"), "$1" + end + "a=fmtp:" + type + " " + text);
  }
  const kept = found[1].split(";").map((part) => part.trim()).filter((part) => {
    const key = part.split("=")[0];
    return part && !entries.some(([name]) => name === key);
  });
  const text = [...kept, ...entries.map(([key, value]) => key + "=" + value)].join(";");
  return section.replace(line, "a=fmtp:" + type + " " + text);
}
