"""The import arrows of the house, and what importing it costs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import edgedyn

ROOT = Path(edgedyn.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[1]


def test_import_contracts():
    """The arrows of the house are contracts in pyproject.toml; import-linter holds them."""
    pytest.importorskip("importlinter", reason="the arrows need import-linter: the extra 'test'")
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache", "pyproject.toml"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


def test_only_autodiff_differentiates():
    words = ("GradientTape", "ForwardAccumulator", "autodiff.gradient")
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name != "autodiff":
            assert not any(word in path.read_text(encoding="utf-8") for word in words), path


def test_nn_without_tensorflow_names_the_extra():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'jax', 'torch')))\n"
        "import edgedyn as ed\n"
        "print(ed.line_graph([4, 5, 3]).n_links)\n"
        "net = ed.ReLUMLP.random([2, 3, 3, 2], seed=0)\n"
        "print(ed.neural_capacitance(net, [[1.0, 2.0], [2.0, 1.0]], [0, 1]).n_samples)\n"
        "for ask in (lambda: ed.nn, lambda: __import__('edgedyn.nn')):\n"
        "    try: ask()\n"
        "    except ImportError as error: print(error)\n"
        "from edgedyn.cli import main\n"
        "print(main(['beta', '--model', 'MobileNet']))"
    )
    lines = run_python(code).splitlines()
    sentence = (
        "edgedyn.nn needs Keras with TensorFlow, JAX or PyTorch; install one of the extras 'tf', "
        "'jax' and 'torch': pip install 'edgedyn[tf]'."
    )
    assert lines == ["60", "2", sentence, sentence, "2"]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_edgedyn_loads_no_more_than_numpy():
    heavy = "scipy numba networkx sklearn matplotlib pandas rich jinja2 tensorflow keras".split()
    code = f"import edgedyn, sys; print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = "scipy numba networkx sklearn matplotlib pandas rich jinja2 tensorflow keras".split()
    code = (
        "import sys, edgedyn.cli\n"
        "try: edgedyn.cli.main(['--help'])\n"
        f"except SystemExit: print([m for m in {heavy} if m in sys.modules])"
    )
    assert run_python(code).splitlines()[-1] == "[]"


@pytest.mark.slow
def test_nothing_needs_keras():
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
