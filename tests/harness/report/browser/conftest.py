"""A headless Chromium, spoken to over its debugging pipe: no network, no driver, no package."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEADLINE_S = 60.0  # for one answer; a page of ten thousand rows takes a few seconds


class Browser:
    """One page of a headless Chromium, and everything it complained about or asked for.

    errors: console errors and uncaught exceptions. requests: addresses other than the page's own.
    """

    def __init__(self, program, profile):
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                f"--user-data-dir={profile}",
                "--remote-debugging-pipe",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: _as_three_and_four(to_child, from_child),
            close_fds=False,
        )
        os.close(to_child)
        os.close(from_child)
        self._buffer, self._number, self._session = b"", 0, None
        self.errors, self.requests, self._events = [], [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method, **parameters):
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _receive(self):
        begin = time.monotonic()
        while b"\0" not in self._buffer:
            assert time.monotonic() - begin < DEADLINE_S, "chromium does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "chromium went away"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, event):
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(event["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning"):
            self.errors.append(str(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.errors.append(event["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])

    def open(self, path, width=1280, height=900):
        """Show a file in a window of that many CSS pixels and wait until it is loaded."""
        self.resize(width, height)
        self._events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive()

    def resize(self, width, height=900):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def media(self, media="", **features):
        """Emulate print, or prefers-color-scheme."""
        named = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.call("Emulation.setEmulatedMedia", media=media, features=named)

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path):
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


def _as_three_and_four(read, write):
    """The debugging pipe's ends have to be descriptors 3 and 4 of the child."""
    kept_read, kept_write = os.dup(read), os.dup(write)
    high_read = _above(kept_read)
    high_write = _above(kept_write)
    os.dup2(high_read, 3)
    os.dup2(high_write, 4)
    os.closerange(5, 256)


def _above(descriptor):
    """A copy of a descriptor beyond 4, so that 3 and 4 can be overwritten."""
    while descriptor <= 4:
        descriptor = os.dup(descriptor)
    return descriptor


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium. Without one the tests fail in CI, and are skipped by name elsewhere."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on PATH; CI has to install it")
        pytest.skip("no Chromium on PATH: the report page was not opened")
    profile = tmp_path_factory.mktemp("chromium")
    opened = Browser(program, profile)
    yield opened
    opened.close()
    with contextlib.suppress(OSError):
        shutil.rmtree(profile)
