"""Where and with what a result was made; every results file carries this."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import edgedyn

# The layouts of all JSON that commands print and write. A number grows when a field is taken away
# or means something else; fields may be added without. docs/schemas holds a JSON Schema for each.
SCHEMAS = {
    "beta": 1,  # edgedyn beta --json
    "demo": 1,  # edgedyn demo --json, and its results.json
    "linegraph": 1,  # edgedyn linegraph --json
    "record": 5,  # records/*.json of a study; their history is told in edgedyn.studies.record
    "reduce": 1,  # edgedyn reduce --json
    "rehearsal": 1,  # edgedyn select --dry-run --json
    "selection": 1,  # edgedyn select --json, and its selection.json
    "study": 1,  # study.json of a study
    "theorem1": 1,  # edgedyn theorem1 --json, and its results.json
}

_PACKAGES = (
    *("numpy", "scipy", "numba", "networkx", "scikit-learn", "matplotlib"),
    *("keras", "tensorflow", "jax", "torch"),
)

# Where a path begins that is the same everywhere: at the root, at home, on a drive or a server.
_ROOT = r"(?:~\w*[/\\]|[/\\](?=[^\s/\\])|[A-Za-z]:[/\\]|\\\\(?=\w))"
_ALONE = re.compile(
    rf"""((?:\w{{2,}}:)?){_ROOT}(?:[^:;,'"<>|\n]*[/\\])?([^/\\:;,'"<>|\n]+[/\\]?)"""
)
_QUOTED = re.compile(rf"""(['"`])({_ROOT}[^'"`\n]*)\1""")  # spaces may be in it
_FOLDERS = re.compile(
    rf"""(?<![^\s'"=:(,;|`\u201c]){_ROOT}(?:[^\s'":,;]*[/\\](?=[^\s'":,;]))?"""
    # Within brackets only where it has two parts: [/b] and </b> end what is bold.
    rf"""|(?<=[<\[]){_ROOT}[^\s'":,;<>\[\]]*[/\\](?=[^\s'":,;])"""
)


def environment() -> dict[str, Any]:
    """Describe the machine, the versions, the command and the date.

    The date is UTC in ISO 8601; ``packages`` holds only what is installed.

    Examples
    --------
    >>> sorted(environment())
    ['command', 'cores', 'cpu', 'date', 'edgedyn', 'packages', 'platform', 'python', 'threads']
    """
    return {
        "edgedyn": edgedyn.__version__,
        "python": platform.python_version(),
        "packages": {name: v for name in _PACKAGES if (v := _version(name)) is not None},
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS") or os.environ.get("OPENBLAS_NUM_THREADS"),
        "platform": f"{platform.system()} {platform.machine()}",
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def document(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with the number of its layout and the environment before it.

    Examples
    --------
    >>> list(document("reduce", {"beta_eff": 2.0}))
    ['schema', 'environment', 'beta_eff']
    """
    return {"schema": SCHEMAS[kind], "environment": environment(), **values}


def command() -> str:
    """Return the command line of this process; of program and absolute paths only the last name.

    Examples
    --------
    >>> "/" in command().split()[0]
    False
    """
    return " ".join([Path(sys.argv[0]).name, *map(published, sys.argv[1:])])


def published(value: Any) -> Any:
    """Leave the folders out of all absolute paths in a value, which are nobody else's business.

    A path with spaces is known as one where it stands alone or in quotes.

    Examples
    --------
    >>> published({"spec": "folder:/home/ann/photos/", "note": "see https://example.org/a/b"})
    {'spec': 'folder:photos/', 'note': 'see https://example.org/a/b'}
    """
    if isinstance(value, str):
        if "/" not in value and "\\" not in value:  # most are; a study has many
            return value
        text = _home().sub("~", value).replace("file:///", "file:/")
        if alone := _ALONE.fullmatch(text):
            return alone[1] + alone[2]
        text = _QUOTED.sub(lambda found: found[1] + str(published(found[2])) + found[1], text)
        return _FOLDERS.sub("", text)
    if isinstance(value, dict):
        return {name: published(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(published, value))
    return value


@cache
def _home() -> re.Pattern[str]:
    """Return what finds the user's folder, which is called as the user is."""
    return re.compile(rf"{re.escape(str(Path.home()))}(?![\w.-])")


def _version(package: str) -> str | None:
    """Return the installed version, None where the package is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    """Return the processor's name as the system tells it."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    return platform.processor() or "unknown"
