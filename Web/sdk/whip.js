// SPDX-License-Identifier: Apache-2.0
// WHIP (RFC 9725) and WHEP: publishing and playing by HTTP alone. Independent of the rest of the SDK.

/** A refusal of the server: `status`, and `detail`, a sentence. */
export class WhipError extends Error {
  constructor(status, detail) {
    super(detail || "HTTP status " + status);
    this.status = status;
  }
}

async function refusal(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch { /* not of this server's making */ }
  return new WhipError(response.status, detail);
}

/** STUN and TURN servers of `Link` headers. */
export function iceServers(link) {
  return (link ?? "").split(/,\s*(?=<)/).flatMap((entry) => {
    const url = /^<((?:stun|turn)s?:[^>]+)>/.exec(entry)?.[1];
    if (!url || !/rel="?ice-server"?/.test(entry)) return [];
    const field = (name) => new RegExp(name + '="([^"]*)"').exec(entry)?.[1];
    return [{ urls: url, ...(field("username") && { username: field("username"), credential: field("credential") }) }];
  });
}

class HttpSession {
  #endpoint;
  #token;
  #tag = null;
  #location = null;
  #isClosed = false;

  /** `endpoint`: the URL to post the offer to; `token`: sent as Bearer. */
  constructor(endpoint, { token = null } = {}) {
    this.#endpoint = new URL(endpoint, location.href);
    this.#token = token;
    /** Called with the state of the peer connection: "connecting", "connected", "disconnected", "failed", "closed". */
    this.onstate = () => {};
    this.peer = null;
  }

  get url() { return this.#location?.href ?? null; }

  #request(url, options) {
    const headers = { ...options.headers, ...(this.#token && { Authorization: "Bearer " + this.#token }) };
    return fetch(url, { ...options, headers });
  }

  async begin() {
    const servers = await this.#request(this.#endpoint, { method: "OPTIONS" });
    const peer = this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: iceServers(servers.headers.get("Link")) });
    peer.onconnectionstatechange = () => {
      this.onstate(peer.connectionState);
      if (peer.connectionState === "failed") this.restart().catch(() => this.close());
    };
    try {
      this.prepare(peer);
      await peer.setLocalDescription(await peer.createOffer());
      const response = await this.#request(this.#endpoint, {
        method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription.sdp,
      });
      if (response.status !== 201) throw await refusal(response);
      this.#location = new URL(response.headers.get("Location"), this.#endpoint);
      this.#tag = response.headers.get("ETag");
      if (this.#isClosed) return this.#end();
      await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch (error) {
      // The caller hears of it by the error.
      this.onstate = () => {};
      await this.close();
      throw error;
    }
  }

  /** Looks for a new way to the server, after a change of network. The session goes on in it. */
  async restart() {
    const { peer } = this;
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
    const sdp = peer.localDescription.sdp;
    const line = (name) => new RegExp("^a=" + name + ":.*$", "m").exec(sdp)[0];
    const medium = /^m=.*$/m.exec(sdp)[0];
    const response = await this.#request(this.#location, {
      method: "PATCH", headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
      body: [line("ice-ufrag"), line("ice-pwd"), medium, line("mid"), ""].map((text) => text.trimEnd()).join("\r\n"),
    });
    if (response.status !== 200) throw await refusal(response);
    this.#tag = response.headers.get("ETag");
    const fragment = await response.text();
    const theirs = (name) => new RegExp("^a=" + name + ":(.*)$", "m").exec(fragment)[1].trimEnd();
    await peer.setRemoteDescription({
      type: "answer",
      sdp: peer.remoteDescription.sdp.replace(/^a=ice-ufrag:.*$/gm, "a=ice-ufrag:" + theirs("ice-ufrag"))
        .replace(/^a=ice-pwd:.*$/gm, "a=ice-pwd:" + theirs("ice-pwd")),
    });
  }

  get tag() { return this.#tag; }

  #end() { return this.#request(this.#location, { method: "DELETE" }); }

  /** Ends the session here and on the server. */
  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.peer?.close();
    if (this.#location) await this.#end().catch(() => {});
    this.onstate("closed");
  }
}

/** Publishes a MediaStream. */
export class WhipPublisher extends HttpSession {
  #media;

  constructor(endpoint, media, options) {
    super(endpoint, options);
    this.#media = media;
  }

  prepare(peer) {
    for (const track of this.#media.getTracks()) peer.addTransceiver(track, { direction: "sendonly", streams: [this.#media] });
  }
}

/** Plays into `media`, a MediaStream. */
export class WhepPlayer extends HttpSession {
  media = new MediaStream();

  prepare(peer) {
    for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    peer.ontrack = ({ track }) => this.media.addTrack(track);
  }
}
