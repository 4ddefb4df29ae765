"""What HTML pages share: templates, assets, embedding of text and data, the shell of a page.

A page is one file that asks for nothing: code, styles and data are inside, and its Content Security
Policy lets no other script run and no request leave.
"""

import base64
import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import markupsafe
from markupsafe import Markup

from edgedyn._files import json_ready

if TYPE_CHECKING:
    import jinja2

# What could end a script element; json.dumps already escapes all that is not ASCII.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def escape(text: object) -> Markup:
    """Return text for an element or an attribute; what UTF-8 cannot hold becomes a question mark.

    Markup stays as it is.
    """
    if isinstance(text, Markup):
        return text
    return markupsafe.escape(str(text).encode("utf-8", "replace").decode("utf-8"))


@cache
def _environment() -> "jinja2.Environment":
    """Return what renders the package's templates; every text in them goes through `escape`."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("edgedyn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
    )
    made.tests["finite"] = isfinite
    made.globals["nan"] = nan
    return made


def render(template: str, **values: Any) -> Markup:
    """Return one of the package's templates, such as ``study.html``, with values in it."""
    return Markup(_environment().get_template(template).render(values))


def asset(name: str) -> str:
    """Return one of the package's own page parts, such as ``common.css``."""
    return (files("edgedyn.report") / "pages" / name).read_text(encoding="utf-8")


def vendored(name: str) -> str:
    """Return the code in ``vendor/NAME.min.js`` with ``NAME.LICENSE.txt`` above it."""
    folder = files("edgedyn.report") / "vendor"
    licence = (folder / f"{name}.LICENSE.txt").read_text(encoding="utf-8")
    return f"/*!\n{licence}*/\n{(folder / f'{name}.min.js').read_text(encoding='utf-8')}"


def data_block(identifier: str, value: Any) -> Markup:
    """Return data as a script element that is read with ``JSON.parse``, never executed.

    `value` is of dicts, lists, texts and numbers, numpy's included; NaN and infinity become null.
    """
    text = json.dumps(json_ready(value), separators=(",", ":"), allow_nan=False)
    escaped = text.translate(_ESCAPES)
    return Markup(f'<script type="application/json" id="{escape(identifier)}">{escaped}</script>')


def page(
    title: str,
    body: Markup,
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = ("common.css",),
) -> str:
    """Return a whole page; title and body are escaped unless they are Markup.

    `scripts` are JavaScript, run in this order after the body has been read, each allowed by its
    hash; ValueError for one that would end its own element. `styles` are names of style sheets
    among the package's assets. They are allowed inline, since plotting libraries write some into
    their drawings; ``style`` attributes can load nothing under ``default-src 'none'``.

    Examples
    --------
    >>> text = page("A < B", Markup("<p>hello</p>"), scripts=["document.title += '!'"])
    >>> "<title>A &lt; B</title>" in text, text.count("sha256-")
    (True, 1)
    """
    hashes = []
    for script in scripts:
        if "</script" in script.lower() or "<!--" in script:
            raise ValueError("a script must not hold '</script' or '<!--'; escape them.")
        digest = base64.b64encode(sha256(f"\n{script}\n".encode()).digest()).decode()
        hashes.append(f"'sha256-{digest}'")
    allowed = " ".join(hashes) or "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    style = "\n".join(asset(name) for name in styles)
    return render("shell.html", policy=policy, title=title, style=style, body=body, scripts=scripts)
