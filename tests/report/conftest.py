"""Fixtures of the pages' tests: a browser for each file of tests, pages that are watched."""

import pytest
from browser import ARGUMENTS, SIZES, find_browser, goto, watch


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium, in modules that begin with `browser.require_browser`.

    One a module: Playwright runs an event loop in this thread as long as it lives, and other
    modules' tests may need the thread for one of their own.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=find_browser(), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file in a page; the test fails if a page has troubles."""
    troubles, opened = [], []

    def open_page(path, size="desktop", **options):
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        opened.append(page)
        watch(page, troubles)
        return goto(page, path)

    yield open_page
    for page in opened:
        page.close()
    assert troubles == []
