"""Pages of the repository outside docs/ as pages of the site, and links that lead to them.

The pages that scripts write lie beside those scripts, in papers/ and validation/. They are copied
to docs/repository/ with the same folders below, so that links among them stay as they are. A link
from a page in docs/ to such a page, ``../../papers/jiang2024/close.md``, works in the repository;
on the site it is turned to the copy. A link to a file that is no page becomes that file's name.
"""

import os
import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
COPIES = DOCS / "repository"
PAGES = (
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "papers/jiang2024/*.md",
    "papers/jiang2024/full/*.md",
    "papers/gao2016/*.md",
    "validation/*.md",
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```\s*?$|^~~~.*?^~~~\s*?$)", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Return the pages outside docs/ that the site shows."""
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


def turned(text: str, page: Path) -> str:
    """Return the text of a page with its relative links turned to what the site has.

    `page` is the file that is read, a copy or a page of docs/ itself.
    """
    known = set(pages())

    def link(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups(default="")
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        origin = ROOT / page.relative_to(COPIES) if page.is_relative_to(COPIES) else page
        wanted = Path(os.path.normpath(origin.parent / target))
        if not wanted.exists() and origin == page:  # copies' links are their scripts' business
            raise ValueError(f"{page}: there is no {target} to link to.")
        if wanted.is_relative_to(DOCS):
            place = wanted
        elif picture or wanted in known:
            place = COPIES / wanted.relative_to(ROOT)
        elif wanted.is_relative_to(ROOT):
            return words if "`" in words else f"`{words}`"
        else:
            raise ValueError(f"{page}: the link {target} leaves the repository.")
        return f"{picture}[{words}]({os.path.relpath(place, page.parent)}{anchor})"

    # What lies between fences is code: every second piece.
    pieces = FENCE.split(text)
    return "".join(LINK.sub(link, p) if i % 2 == 0 else p for i, p in enumerate(pieces))


def copy(app: Sphinx) -> None:
    """Copy the pages, and the pictures that any page shows."""
    wanted = {}
    for page in pages():
        wanted[COPIES / page.relative_to(ROOT)] = page
    for page in [*pages(), *DOCS.glob("*.md"), *DOCS.glob("[a-z]*/*.md")]:
        for picture, _, target, _ in LINK.findall(page.read_text("utf-8")):
            source = Path(os.path.normpath(page.parent / target))
            if picture and not source.is_relative_to(DOCS):
                wanted[COPIES / source.relative_to(ROOT)] = source
    for copied, source in wanted.items():
        copied.parent.mkdir(parents=True, exist_ok=True)
        if not copied.exists() or copied.stat().st_mtime < source.stat().st_mtime:
            shutil.copy2(source, copied)


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn the links of a page that is being read."""
    path = Path(app.env.doc2path(name))
    if path.suffix == ".md":
        source[0] = turned(source[0], path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy before the pages are looked for, turn links when they are read."""
    app.connect("config-inited", lambda app, _: copy(app))
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
