"""What all pages share: nothing in a text becomes markup, nothing leaves a page."""

import base64
import hashlib
import json
import re
from importlib.resources import files

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from page_reader import Reader

from edgedyn.report import html

NASTY = [
    "</script><script>alert(1)</script>",
    "<!--",
    "]]>",
    "\"&amp;'",
    "a\u2028b\u2029c",
    "\ud800",
]


@pytest.mark.parametrize("text", NASTY)
def test_data_come_back_and_end_no_element(text):
    value = {"name": text, text: [1.5, None]}
    block = html.data_block("data", value)
    (element, attributes), *others = Reader(block).elements
    assert (element, attributes["type"], others) == ("script", "application/json", [])
    assert not set("<>&") & set(block.removesuffix("</script>").split(">", 1)[1])
    block.encode("utf-8")
    assert json.loads(Reader(block).texts[0][1]) == value


def test_numbers_json_cannot_hold_become_null():
    block = html.data_block("data", {"a": np.array([1.0, np.nan, np.inf]), "b": np.int64(3)})
    assert json.loads(Reader(block).texts[0][1]) == {"a": [1.0, None, None], "b": 3}


@pytest.mark.parametrize("text", NASTY)
def test_texts_stay_texts(text):
    block = html.escape(text).join([Markup("<p>"), Markup("</p>")])
    page = html.page(text, block + html.render("table.html", head=[text], rows=[[text]]))
    names = [name for name, _ in Reader(page).elements]
    plain = "html head meta meta meta title style body p".split()
    assert names == plain + "table thead tr th tbody tr td".split()
    shown = text.replace("\ud800", "?")
    assert ("title", shown) in Reader(page).texts
    page.encode("utf-8")


def test_a_body_that_is_no_markup_stays_text():
    assert "<b>" not in html.page("x", "<b>")


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'rows' is undefined"):
        html.render("table.html", head=[])


def test_only_our_scripts_may_run():
    scripts = ["'use strict';", html.vendored("d3"), "document.title = '\u00e9'"]
    page = html.page("x", Markup(), scripts=scripts)
    policy = next(a["content"] for _, a in Reader(page).elements if "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    inside = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert [text.strip() for text in inside] == [text.strip() for text in scripts]
    sums = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in inside]
    assert rules["script-src"].split() == [f"'sha256-{s}'" for s in sums]
    assert "'none'" in html.page("x", Markup()).split("script-src", 1)[1].split(";", 1)[0]


@pytest.mark.parametrize("script", ["x = '</SCRIPT>'", "<!-- x"])
def test_a_script_that_ends_itself(script):
    with pytest.raises(ValueError, match="must not hold"):
        html.page("x", Markup(), scripts=[script])


def test_vendored_libraries_are_unmodified_and_carry_their_licence():
    folder = files("edgedyn.report") / "vendor"
    rows = re.findall(r"`(\S+)\.min\.js`.*`([0-9a-f]{64})`", (folder / "README.md").read_text())
    names = {f.name.removesuffix(".min.js") for f in folder.iterdir() if f.name.endswith(".js")}
    assert {name for name, _ in rows} == names
    for name, digest in rows:
        assert hashlib.sha256((folder / f"{name}.min.js").read_bytes()).hexdigest() == digest
        assert html.vendored(name).count("*/") >= 1
        assert (folder / f"{name}.LICENSE.txt").read_text() in html.vendored(name)
