"""The import arrows of the house, and what importing it costs."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import edgedyn

ROOT = Path(edgedyn.__file__).parent
EVERYONE = {"capacitance", "_validate", "_files", "_data", "_environment"}
ALLOWED = {
    "linegraph": set(),
    "mlp": {"linegraph"},
    "nn": {"linegraph", "mlp", "predict"},
    "predict": set(),
    "reduction": set(),
    "studies": {"mlp", "predict", "nn"},
    "report": {"predict"},  # the registry of methods: their labels
    "capacitance": set(),
    "_validate": set(),
    "_files": set(),
    "_data": set(),
    "_environment": set(),
    "_dispatch": {"linegraph", "nn"},
    "commands": {
        "linegraph",
        "mlp",
        "nn",
        "predict",
        "reduction",
        "report",
        "studies",
        "_dispatch",
    },
    "cli": {"commands"},
}


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Rooms of edgedyn that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            if node.module != "edgedyn":
                names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "edgedyn" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_import_arrows(path):
    home = room(path)
    if home == "__init__":
        pytest.skip("the front door names every room, lazily")
    outside = imported_rooms(path) - {home} - EVERYONE - ALLOWED[home]
    assert not outside, f"{home} may not import {outside}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_under_500_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 500


def imported_packages(path):
    """Top-level packages that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_only_nn_imports_keras_and_only_autodiff_differentiates():
    for path in sorted(ROOT.rglob("*.py")):
        packages = imported_packages(path)
        if room(path) != "nn":
            assert not packages & {"keras", "tensorflow"}, path
        elif path.name not in ("autodiff.py", "datasets.py"):
            assert "tensorflow" not in packages, path
        if path.name not in ("autodiff.py",):
            words = ("GradientTape", "ForwardAccumulator", "autodiff.gradient")
            assert not any(word in path.read_text(encoding="utf-8") for word in words), path


def test_nn_without_tensorflow_names_the_extra():
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import edgedyn as ed\n"
        "print(ed.line_graph([4, 5, 3]).n_links)\n"
        "for ask in (lambda: ed.nn, lambda: __import__('edgedyn.nn')):\n"
        "    try: ask()\n"
        "    except ImportError as error: print(error)\n"
        "from edgedyn.cli import main\n"
        "print(main(['beta', '--model', 'MobileNet']))"
    )
    lines = run_python(code).splitlines()
    sentence = (
        "edgedyn.nn needs TensorFlow; install it with the extra 'tf': pip install 'edgedyn[tf]'."
    )
    assert lines == ["60", sentence, sentence, "2"]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_edgedyn_loads_no_more_than_numpy():
    heavy = "scipy numba networkx sklearn matplotlib pandas rich tensorflow keras".split()
    code = f"import edgedyn, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = "scipy numba networkx sklearn matplotlib pandas rich tensorflow keras".split()
    code = (
        "import sys, edgedyn.cli\n"
        "try: edgedyn.cli.main(['--help'])\n"
        f"except SystemExit: print([m for m in {heavy} if m in sys.modules])"
    )
    assert run_python(code).splitlines()[-1] == "[]"


def test_nothing_needs_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from edgedyn.studies import run_demo\n"
        "print(len(run_demo(n_seeds=1, epochs=5).records))"
    )
    assert run_python(code).strip() == "15"


def test_every_public_name_resolves():
    for name in edgedyn.__all__:
        assert getattr(edgedyn, name).__doc__
    if importlib.util.find_spec("tensorflow") is not None:
        for name in edgedyn.nn.__all__:
            assert getattr(edgedyn.nn, name).__doc__
        with pytest.raises(AttributeError, match="no attribute 'lines'"):
            edgedyn.nn.lines  # noqa: B018
    assert set(edgedyn.__all__) <= set(dir(edgedyn))
    with pytest.raises(AttributeError, match="no attribute 'lines'"):
        edgedyn.lines  # noqa: B018
