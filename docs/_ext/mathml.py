"""Formulas as MathML, made at build time: browsers show them without any script."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def _mathml(source: str, display: str) -> str:
    r"""Return a formula's MathML; bars that stand near to what they enclose for ``\lvert``."""
    for word, bar in ((r"\lvert", "|"), (r"\rvert", "|"), ("||", "\u2016"), (r"\|", "\u2016")):
        source = source.replace(word, bar)
    return convert(source, display=display)


def _inline(translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _display(translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    formula = _mathml(node.astext(), "block")
    translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the renderer that ``html_math_renderer = "mathml"`` asks for."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
