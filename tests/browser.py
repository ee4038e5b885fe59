"""Headless Chromium for the tests of web pages: each page is fresh and writes down what it complains of and asks for.

Without a browser these tests are skipped; where CI=true is set they fail, so that nothing is skipped unseen.
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
    "--no-sandbox",  # there is none to be had for root, in a container
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # no way out of this machine
]  # fmt: skip


class Visit:
    """One page, with what happened on it so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []  # of the console, and exceptions that nobody caught
        self.requests: list[str] = []  # addresses of all that was asked for, but for data: and blob:
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.requests.append(url)

    def outward(self) -> list[str]:
        """Requests that leave this machine."""
        own = ("file:", "http://127.0.0.1:", "ws://127.0.0.1:")
        return [url for url in self.requests if not url.startswith(own)]

    def open(self, place: Path | str) -> Page:
        """Goes to a file or an address, waits for its load event, and returns the page."""
        self.page.goto(place.absolute().as_uri() if isinstance(place, Path) else place)
        return self.page


class Chromium:
    """The browser; `with chromium.visit() as visit: visit.open(...)`."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @contextlib.contextmanager
    def visit(self, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Visit]:
        """A page of that size in pixels, with no past: no cache, no cookies. It is closed at the end."""
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
