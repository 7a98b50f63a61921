"""A real browser in tests: Chromium without a window, driven by the DevTools protocol over two pipes.

The protocol is Chromium's own (`--remote-debugging-pipe`): JSON texts with a zero byte behind each, read from
descriptor 3 and written to descriptor 4. What a person does is done as the browser gets it from the system: keys and
touches, no calls of the page's functions.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60.0
"""Seconds until a test gives up; a busy machine starts a browser in ten."""
KEYS = {
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
}


class Chromium:
    """A browser with one page.

    Args:
        profile: The folder in which it keeps what browsers keep; a second one on it is the same browser started again.
        phone: A screen of 390×844 that is touched, instead of 1280×800 and a mouse.
        dark: Whether the person prefers dark colours.
        screen: A screen of one's own: width, height and how many dots a CSS pixel has, as the system says it; what the
            protocol can pretend is drawn otherwise, to the dot.
    """

    def __init__(
        self,
        profile: Path,
        *,
        phone: bool = False,
        dark: bool = False,
        screen: tuple[int, int, float] | None = None,
    ) -> None:
        assert BROWSER is not None
        self.phone = phone
        self.console: list[str] = []
        self.requests: list[str] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        width, height, dots = screen or (1280, 800, 1)
        window = (f"--window-size={width},{height}", f"--force-device-scale-factor={dots}")
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", *window,
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        # The browser wants descriptors 3 and 4; Popen hands out 0 and 1.
        self._process = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1', *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        page = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        if phone:
            shape = {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True}
            self("Emulation.setDeviceMetricsOverride", **shape)
            self("Emulation.setTouchEmulationEnabled", enabled=True)
        elif screen is None:
            shape = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            self("Emulation.setDeviceMetricsOverride", **shape)
        if dark:
            self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End the browser and all its processes at once, as a crash does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def close(self) -> None:
        """End the browser as a person does, who closes its window; what it keeps is on disk then."""
        self("Browser.close", patient=False)
        self._process.wait(PATIENCE)
        self.kill()

    def __call__(self, method: str, patient: bool = True, **arguments: Any) -> dict[str, Any]:
        """What the browser answers to a command of the protocol."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        if self._session is not None and not method.startswith(("Target.", "Browser.")):
            said["sessionId"] = self._session
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), json.dumps(said).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while patient and self._number not in self._answers:
            self._listen(end - time.monotonic())
        found = self._answers.pop(self._number, {})
        assert "error" not in found, f"{method}: {found['error']}"
        return found.get("result", {})

    def _listen(self, seconds: float) -> None:
        """Take what the browser has said meanwhile."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, seconds))
        assert ready, "the browser does not answer"
        piece = os.read(self._process.stdout.fileno(), 2**20)
        assert piece, "the browser has ended"
        *whole, self._rest = (self._rest + piece).split(b"\0")
        for text in whole:
            said = json.loads(text)
            if "id" in said:
                self._answers[said["id"]] = said
            else:
                self._event(said.get("method", ""), said.get("params", {}))

    def _event(self, name: str, about: dict[str, Any]) -> None:
        if name == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(own.get("value")) for own in about["args"]))
        elif name == "Runtime.exceptionThrown":
            self.console.append(json.dumps(about["exceptionDetails"])[:500])
        elif name == "Log.entryAdded":
            self.console.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        elif name == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def open(self, url: str) -> None:
        """Go to an address."""
        self("Page.navigate", url=url)

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, of a promise what it becomes."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, what: Callable[[Any], bool] = bool) -> Any:
        """Until an expression in the page is true, or as `what` wants it; returns its value. Where it cannot be had, as
        while a page loads, it is waited for."""
        tried = f"(() => {{ try {{ return ({expression}); }} catch {{ return null; }} }})()"
        end = time.monotonic() + PATIENCE
        while True:
            found = self.js(tried)
            if found is not None and what(found):
                return found
            assert time.monotonic() < end, f"{expression} stayed {found!r}; the page says {self.text()!r}"
            time.sleep(0.02)

    def text(self) -> str:
        """What a person reads."""
        return str(self.js("document.body.innerText"))

    def key(self, key: str, **more: Any) -> None:
        """Press and release a key."""
        code, number, text = KEYS.get(
            key, (f"Key{key.upper()}" if key.isalpha() else f"Digit{key}", ord(key.upper()[0]), key)
        )
        pressed = {"key": key, "code": code, "windowsVirtualKeyCode": number, **more}
        self("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **pressed)
        self("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def middle(self, selector: str) -> tuple[float, float]:
        """Where on the screen the middle of an element is."""
        x, y = self.js(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)});"
            "element.scrollIntoView({block: 'nearest'}); const box = element.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        return x, y

    def tap(self, selector: str, times: int = 1) -> None:
        """Touch the middle of an element."""
        x, y = self.middle(selector)
        for _ in range(times):
            self("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
            self("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, selector: str) -> None:
        """Tap on a phone, click on a desk."""
        (self.tap if self.phone else self.click)(selector)

    def picture(self) -> bytes:
        """A PNG file of the screen."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])
