"""The pages of the reference: one a public module, with all its public names.

Public names are those of a module's ``__all__``; where it has none, the functions and classes that
are defined in it and do not begin with an underscore. Each name gets a page of its own.
"""

import inspect
from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parents[1] / "api"
MODULES = (
    "edgedyn",
    "edgedyn.capacitance",
    "edgedyn.linegraph",
    "edgedyn.linegraph.export",
    "edgedyn.mlp",
    "edgedyn.mlp.counterexamples",
    "edgedyn.nn",
    "edgedyn.nn.models.small",
    "edgedyn.predict",
    "edgedyn.predict.choice",
    "edgedyn.predict.curves",
    "edgedyn.predict.forecast",
    "edgedyn.predict.level",
    "edgedyn.predict.methods",
    "edgedyn.predict.pairs",
    "edgedyn.predict.stopping",
    "edgedyn.predict.transferability",
    "edgedyn.predict.zero_cost",
    "edgedyn.reduction",
    "edgedyn.report.figures",
    "edgedyn.report.files",
    "edgedyn.studies",
    "edgedyn.studies.halving",
    "edgedyn.studies.race",
)


def names(module: str) -> list[str]:
    """Return a module's public names, in order."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        return sorted(found.__all__)
    return sorted(
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module
    )


def page(module: str, elsewhere: dict[int, str]) -> str:
    """Return the page of a module; what an earlier page has is named there, and linked.

    `elsewhere` maps what has a page to its name, and is told what this module adds.
    """
    found = import_module(module)
    new, old = [], []
    for name in names(module):
        value = getattr(found, name)
        known = elsewhere.setdefault(id(value), f"{module}.{name}")
        (new if known == f"{module}.{name}" else old).append((name, known))
    lines = [f"``{module}``", "=" * (len(module) + 4), "", f".. automodule:: {module}", ""]
    if old:
        lines += ["Also here: " + ", ".join(f":py:obj:`{n} <{k}>`" for n, k in old) + ".", ""]
    if new:
        lines += [f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: generated"]
        lines += ["", *(f"   {name}" for name, _ in new)]
    return "\n".join(lines) + "\n"


def write(app: Sphinx) -> None:
    """Write the pages that changed."""
    elsewhere: dict[int, str] = {}
    for module in MODULES:
        path, text = HERE / f"{module}.rst", page(module, elsewhere)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("config-inited", lambda app, _: write(app))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
