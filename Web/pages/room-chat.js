// SPDX-License-Identifier: Apache-2.0
// The text chat of a room page: lines with the time, the field to write in, the link to invite by. Used by room.js.
import { $ } from "./common.js";

const KEPT_LINES = 500;

const two = (number) => String(number).padStart(2, "0");

/** Adds "10:31 test - hello"; what the page itself has to say comes from "chat". */
export function addLine(from, text) {
  const log = $("chatLog");
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  const time = document.createElement("time");
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = two(now.getHours()) + ":" + two(now.getMinutes());
  const who = document.createElement("b");
  who.textContent = from;
  item.append(time, " ", who, " - " + text);
  log.append(item);
  while (log.childElementCount > KEPT_LINES) log.firstElementChild.remove();
  // Somebody who reads what was said earlier is left there.
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

/**
 * Text as it was meant: pages written for servers that break other scripts send it percent-encoded. Only what encoding alone can
 * have made is decoded: no spaces, and at least one letter beyond ASCII.
 */
export function readable(text) {
  if (!/%[89A-F][0-9A-F]/.test(text) || !/^(?:[\w.!~*'()-]|%[0-9A-F]{2})+$/.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Calls `send(text)` with what the user writes. */
export function onSend(send) {
  $("chatForm").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("message").value.trim();
    if (text === "") return;
    $("message").value = "";
    send(text);
  });
}

/** Opens or closes the field to write in. */
export function setOpen(isOpen) {
  $("message").disabled = !isOpen;
  $("sendBtn").disabled = !isOpen;
}

/** Shows the link; null takes it away. */
export function showInvite(url) {
  $("invite").hidden = url === null;
  $("inviteLink").href = url ?? "";
  $("inviteLink").textContent = url ?? "";
  $("copyBtn").textContent = "Copy link";
}

$("copyBtn").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("inviteLink").href);
    $("copyBtn").textContent = "Copied";
  } catch {
    // Pages over plain http may not write the clipboard: the link is selected for the user to copy.
    getSelection().selectAllChildren($("inviteLink"));
    $("copyBtn").textContent = "Press Ctrl+C";
  }
});
