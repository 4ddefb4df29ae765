"""A real browser for the tests of HTML pages: which one, and what must not happen in it."""

import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SIZES = {"desktop": (1400, 900), "phone": (390, 844)}


def find_browser():
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def require_browser():
    """Skip the module that calls this at its top, where Playwright or a browser is missing."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if find_browser() is None:
        pytest.skip(f"no browser is installed ({', '.join(NAMES)})", allow_module_level=True)


def watch(page, troubles):
    """Collect what a page complains about, and every request that leaves the file."""

    def on_request(request):
        if not request.url.startswith(("file://", "data:", "blob:")):
            troubles.append(f"request: {request.url}")

    def on_console(message):
        if message.type in ("error", "warning"):
            troubles.append(f"console {message.type}: {message.text}")

    page.on("request", on_request)
    page.on("console", on_console)
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))


def goto(page, path):
    """Open a file; return the page."""
    page.goto(Path(path).resolve().as_uri())
    return page
