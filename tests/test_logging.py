"""Notes under the logger "edgedyn": none unless they are asked for."""

import logging
import subprocess
import sys

import numpy as np

import edgedyn as ed
from edgedyn.reduction import System, steady_state

WORK = (
    "import numpy as np, edgedyn as ed\n"
    "X = np.random.default_rng(0).standard_normal((30, 4))\n"
    "ed.verify_theorem1(X, np.arange(30) % 2, layers=[4, 5, 4, 2], epochs=3)\n"
    "import logging; logging.getLogger('edgedyn.studies').warning('not to be seen')\n"
)


def run(code):
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_quiet_by_default():
    found = run(WORK)
    assert (found.stdout, found.stderr) == ("", "")


def test_notes_are_there_for_who_asks():
    found = run(f"import logging; logging.basicConfig(level='INFO')\n{WORK}")
    assert "INFO:edgedyn.mlp.theorem1:interpolating run: 3 epochs of 4-5-4-2" in found.stderr
    assert "not to be seen" in found.stderr


def test_a_steady_state_tells_of_its_second_method(caplog):
    turning = System(lambda x: x - x**3, lambda x, y: y, domain=(-np.inf, np.inf))  # a cycle
    with caplog.at_level(logging.INFO, "edgedyn"):
        state = steady_state([[0, 2], [-2, 0]], turning, [1.0, 0.0], max_evaluations=200)
    assert state.status != "converged"
    assert "the flow itself is followed" in caplog.text


def test_the_logger_has_nothing_but_a_null_handler():
    assert ed.__name__ == "edgedyn"
    handlers = logging.getLogger("edgedyn").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
    assert logging.getLogger("edgedyn").level == logging.NOTSET
