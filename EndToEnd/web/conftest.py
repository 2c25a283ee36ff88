# SPDX-License-Identifier: Apache-2.0
"""The pages and the SDK in headless Chromium, served from Web/ by a few lines of Python, with fake_server.js (and fake_rooms.js) for a server.

No Martlet process is needed here; the tests against real ones lie beside this folder, and so does the browser they share.
"""
import functools
import http.server
import json
import pathlib
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
WEB = HERE.parent.parent / "Web"


class PageServer(http.server.SimpleHTTPRequestHandler):
    """Serves Web/ and its aliases, and answers the two REST calls that pages make with what a test put into `rest`."""

    rest: dict = {}
    aliases = dict(
        line.split() for line in (WEB / "aliases.txt").read_text().splitlines() if line and not line.startswith("#")
    )

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.startswith("/rest-api/"):
            status, body = self.rest.get(path, (404, {"status": 404, "reason": "no such thing"}))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.path = self.aliases.get(path, path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def origin():
    handler = functools.partial(PageServer, directory=str(WEB))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def rest():
    PageServer.rest = {}
    yield PageServer.rest
    PageServer.rest = {}


@pytest.fixture
def context(browser):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(10_000)
        context.add_init_script(path=str(HERE / "fake_server.js"))
        context.add_init_script(path=str(HERE / "fake_rooms.js"))
        yield context


@pytest.fixture
def page(context):
    """A page that fails its test when any script of it throws."""
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


@pytest.fixture
def sdk(page, origin):
    """A blank page with the SDK and a session: `session`, `connect()`, `display()` and `reached(stream, …)` are globals in it."""
    page.goto(origin + "/player.html")
    page.evaluate("""async () => {
        document.body.innerHTML = "";
        window.Flashphoner = (await import("/sdk/flashphoner.js")).default;
        Object.assign(window, Flashphoner.constants);
        Flashphoner.init();
        window.display = () => document.body.appendChild(document.createElement("div"));
        window.reached = (stream, ...names) => new Promise((resolve) => {
            for (const name of names) stream.on(name, () => resolve(stream.status()));
        });
        window.connect = (options) => new Promise((resolve, reject) => {
            const session = Flashphoner.createSession({urlServer: "ws://example.org:8080", ...options});
            session.on(SESSION_STATUS.ESTABLISHED, () => resolve(session));
            session.on(SESSION_STATUS.FAILED, () => reject(session.getErrorInfo()));
        });
        window.session = await connect();
    }""")
    return page
