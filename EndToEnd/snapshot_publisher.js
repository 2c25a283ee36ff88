// SPDX-License-Identifier: Apache-2.0
// Runs in a page of the tests beside page.js: publishes frames made by hand (VideoFrame), so that they can have any size and any
// rotation. Eight bars of known colours from 1/8 to 5/8 of the height and the burnt-in clock, as in docs/test-pattern.md.
window.publishFrames = async (url, name, { width, height, matrix = "smpte170m", rotation = 0, fps = 15, stripCodecs }) => {
  const BARS = [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [0, 0, 0]];
  const crc8 = (value) => {
    let crc = 0xff;
    for (let shift = 24; shift >= 0; shift -= 8) {
      crc ^= (value >>> shift) & 0xff;
      for (let i = 0; i < 8; i++) crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
    }
    return crc;
  };
  // Limited range, as cameras give it. The matrix is the one that players assume where the codec doesn't say.
  const [kr, kb] = matrix === "bt709" ? [0.2126, 0.0722] : [0.299, 0.114];
  const yuv = ([r, g, b]) => {
    const y = kr * r + (1 - kr - kb) * g + kb * b;
    return [16 + y * 219 / 255, 128 + (b - y) / (2 - 2 * kb) * 224 / 255, 128 + (r - y) / (2 - 2 * kr) * 224 / 255].map(Math.round);
  };
  const half = [(width + 1) >> 1, (height + 1) >> 1];
  const buffer = new Uint8Array(width * height + 2 * half[0] * half[1]);
  const planes = [buffer.subarray(0, width * height), buffer.subarray(width * height, width * height + half[0] * half[1]), buffer.subarray(width * height + half[0] * half[1])];
  const fill = (left, top, right, bottom, colour) => {
    const levels = yuv(colour);
    for (let y = top; y < bottom; y++) planes[0].fill(levels[0], y * width + left, y * width + right);
    for (let y = top >> 1; y < (bottom + 1) >> 1; y++) {
      for (const plane of [1, 2]) planes[plane].fill(levels[plane], y * half[0] + (left >> 1), y * half[0] + ((right + 1) >> 1));
    }
  };
  fill(0, 0, width, height, [40, 40, 40]);
  BARS.forEach((colour, index) => fill(
    Math.floor(index * width / 8), Math.floor(height / 8), Math.floor((index + 1) * width / 8), Math.floor(height * 5 / 8), colour));
  const draw = () => {
    const value = Math.floor(performance.timeOrigin + performance.now()) % 4294967296;
    const rows = [
      ((0b1010 << 20) | ((value >>> 16) << 4) | (crc8(value) >>> 4)) >>> 0,
      ((0b0101 << 20) | ((value & 0xffff) << 4) | (crc8(value) & 0x0f)) >>> 0,
    ];
    rows.forEach((bits, row) => {
      const top = Math.floor(row * height / 18), bottom = Math.floor((row + 1) * height / 18);
      for (let column = 0; column < 24; column++) {
        const level = (bits >>> (23 - column)) & 1 ? 255 : 0;
        fill(Math.floor(column * width / 24), top, Math.floor((column + 1) * width / 24), bottom, [level, level, level]);
      }
    });
  };
  const generator = new MediaStreamTrackGenerator({ kind: "video" });
  const writer = generator.writable.getWriter();
  const send = () => {
    draw();
    writer.write(new VideoFrame(buffer, {
      format: "I420", codedWidth: width, codedHeight: height, timestamp: performance.now() * 1000, rotation,
      colorSpace: { matrix, primaries: matrix, transfer: matrix, fullRange: false },
    }));
  };
  const worker = new Worker(URL.createObjectURL(new Blob([`setInterval(() => postMessage(0), ${1000 / fps})`])));
  worker.onmessage = send;
  send();
  const session = await new Promise((resolve, reject) => Flashphoner.createSession({ urlServer: url })
    .on("ESTABLISHED", resolve).on("FAILED", () => reject(new Error("session"))));
  const display = document.createElement("div");
  document.body.append(display);
  await new Promise((resolve, reject) => session.createStream({
    name, display, stripCodecs, constraints: { video: { minBitrate: 1500, maxBitrate: 4000 }, audio: false, customStream: new MediaStream([generator]) },
  }).on("PUBLISHING", resolve).on("FAILED", (stream) => reject(new Error(stream.getInfo() + stream.getErrorInfo()))).publish());
};
