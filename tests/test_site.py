"""The site builds without a warning, its links lead somewhere, its examples run."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NEEDED = ("sphinx", "pydata_sphinx_theme", "numpydoc", "myst_parser", "latex2mathml", "tensorflow")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
PAGES = sorted(
    str(path.relative_to(DOCS))
    for folder in ("get_started", "guides", "theory", "formats")
    for path in (DOCS / folder).glob("*.md")
    if re.search(r"^```(python|console)$", path.read_text("utf-8"), re.MULTILINE)
)
BIGGEST_README = 6000
WITHOUT_LINKS = ("genindex.html", "search.html")


def test_the_readme_fits_a_screen():
    assert len((ROOT / "README.md").read_bytes()) <= BIGGEST_README


def test_links_of_the_readme_lead_to_files():
    text = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


class Page(HTMLParser):
    """What a page of HTML links to, and what can be linked to in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe", "source") and found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the built site."""
    if MISSING:
        pytest.skip(f"the site needs the extra 'docs' and TensorFlow; missing: {MISSING}")
    work = tmp_path_factory.mktemp("site")
    # A copy of its own: what a build writes beside the pages stays out of the checkout.
    for name in ("docs", "papers", "validation"):
        ignored = shutil.ignore_patterns("records", "weights", "_build", "generated", "__pycache__")
        shutil.copytree(ROOT / name, work / name, ignore=ignored)
    example = Path("edgedyn", "studies", "example.toml")  # which a page shows
    (work / example).parent.mkdir(parents=True)
    for path in (*ROOT.glob("*.md"), ROOT / example):
        shutil.copy2(path, work / path.relative_to(ROOT))
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += [str(work / "docs"), str(work / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return work / "html"


@pytest.mark.slow
def test_internal_links_lead_somewhere_and_nothing_comes_from_elsewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 200
    for path, page in pages.items():
        for address in page.loaded:
            assert "://" not in address, f"{path.name} loads {address}"
        for address in page.links:
            if re.match(r"[a-z]+:", address):
                continue
            file, _, anchor = unquote(address).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name} links to {address}"
            if target in pages and target.name not in WITHOUT_LINKS:
                assert anchor in pages[target].anchors, f"{path.name} links to {address}"


@pytest.mark.slow
def test_every_public_name_has_a_page(site):
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        public_names = importlib.import_module("public_names")
    finally:
        sys.path.remove(str(DOCS / "_ext"))
    for module in public_names.MODULES:
        text = (site / "api" / f"{module}.html").read_text("utf-8")
        for name in public_names.names(module):
            assert name in text, f"{module}.{name}"


@pytest.mark.slow
def test_words_can_be_searched_without_a_server(site):
    index = (site / "searchindex.js").read_text("utf-8")
    assert index.startswith("Search.setIndex(") and "heterogen" in index


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page_run(page, tmp_path):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("the pages' examples need the extra 'tf'")
    if "optuna" in (DOCS / page).read_text("utf-8") and importlib.util.find_spec("optuna") is None:
        pytest.skip("this page needs the extra 'optuna'")
    for path in (DOCS / page).parent.glob("*.toml"):  # what the page shows, saved as it says
        shutil.copy2(path, tmp_path)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(ROOT / "tests" / "site_examples.py"), str(DOCS / page)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
