"""Headless Chromium for the tests of web pages. Each page has a new context and records its errors and requests.

Without a browser these tests are skipped; with CI=true they fail instead, so that CI skips nothing.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # Chromium has no sandbox for root in a container
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # no other machine can be reached
]  # fmt: skip


class Visit:
    """One page with its errors and requests so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []  # console errors and uncaught exceptions
        self.requests: list[str] = []  # URLs, without data: and blob:
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._record(request.url))
        page.on("websocket", lambda socket: self._record(socket.url))

    def _record(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.requests.append(url)

    def outward(self) -> list[str]:
        """Requests that leave this machine."""
        local = ("file:", "http://127.0.0.1:", "ws://127.0.0.1:")
        return [url for url in self.requests if not url.startswith(local)]

    def open(self, target: Path | str) -> Page:
        """Opens a file or a URL, waits for the load event, and returns the page."""
        self.page.goto(target.absolute().as_uri() if isinstance(target, Path) else target)
        return self.page


class Chromium:
    """The browser; `with chromium.visit() as visit: visit.open(...)`."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @contextlib.contextmanager
    def visit(self, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Visit]:
        """A page of this size in pixels in a new context, without cache and cookies; closed at the end."""
        scheme = "dark" if dark else "light"
        context = self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        try:
            yield Visit(context.new_page())
        finally:
            context.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One headless browser for all tests."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = "no Chromium on this machine: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield Chromium(browser)
        browser.close()
