"""The page of JSON Schema files: each file of docs/schemas/, shown and to be downloaded."""

import json
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "formats" / "schemas.md"
HEAD = """# JSON Schema

Machine-readable descriptions of the JSON that edgedyn writes, one file a kind. `schema` in a file
is the number of its layout; it grows when a field changes its meaning or goes.
"""
NONE = (
    "\nThis version has none yet; [the page of formats](index.md) describes the files in words.\n"
)


def page() -> str:
    """Return the page, a section a schema."""
    parts = []
    for path in sorted((DOCS / "schemas").glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        parts.append(
            f"\n## {path.name}\n\n{found.get('title', '')}\n\n{{download}}`Download "
            f"<../schemas/{path.name}>`\n\n```{{literalinclude}} ../schemas/{path.name}\n"
            ":language: json\n```\n"
        )
    return HEAD + ("".join(parts) or NONE)


def write(app: Sphinx) -> None:
    """Write the page if it changed."""
    text = page()
    if not PAGE.exists() or PAGE.read_text("utf-8") != text:
        PAGE.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the page before Sphinx looks for it."""
    app.connect("config-inited", lambda app, _: write(app))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
