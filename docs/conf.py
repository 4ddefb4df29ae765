"""How Sphinx builds the site: ``sphinx-build -W -b html docs docs/_build``. Nothing is fetched."""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import edgedyn  # noqa: E402

# Ray has no wheels for every platform. Where it is missing, a stand-in for its one class lets the
# stopper's docstring be read.
if find_spec("ray") is None:
    for name in ("ray", "ray.tune"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    sys.modules["ray.tune"].Stopper = type("Stopper", (), {})

project = "edgedyn"
author = "The edgedyn developers"
copyright = "2026, The edgedyn developers"
version = release = edgedyn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "mathml",
    "public_names",
    "repository",
    "schemas",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
suppress_warnings = ["myst.header"]  # papers' pages begin sections below a title as they like

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
default_role = "py:obj"  # what docstrings name in single backticks
autodoc_typehints = "none"  # numpydoc's sections name the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("svg", 96)]
plot_include_source = True

html_theme = "pydata_sphinx_theme"
html_title = f"edgedyn {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["edgedyn.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "changelog": []}
