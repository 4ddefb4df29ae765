"""Public names that are loaded on first use, so that importing a room costs next to nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def attach(
    module: str,
    home: Mapping[str, str],
    rooms: Sequence[str] = (),
    *,
    here: Sequence[str] = (),
    needs: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of the module of that ``__name__``.

    `home` maps public names to the modules they are loaded from, `needs` to the optional package
    behind them and how to install that. `rooms` are submodules that are loaded on first use, too;
    `here` are other names that ``dir`` shows, defined in the module itself.

    >>> load, names = attach("edgedyn", {"reduce": "edgedyn.reduction"}, ["mlp"])
    >>> load("reduce").__module__, names()
    ('edgedyn.reduction.operator', ['mlp', 'reduce'])
    """
    needs = needs or {}

    def load(name: str) -> Any:
        if name in needs and find_spec(needs[name][0]) is None:
            package, remedy = needs[name]
            raise ImportError(f"{name} needs the package {package!r}; install it: {remedy}.")
        if name in home:
            value = getattr(import_module(home[name]), name)
        elif name in rooms:
            value = import_module(f"{module}.{name}")
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        setattr(sys.modules[module], name, value)
        return value

    return load, lambda: sorted([*home, *rooms, *here])
