"""Where a study's numbers come from, and how to make them again."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgedyn.studies.summary_types import DataUsed, StudySummary


def facts_of(summary: StudySummary) -> list[tuple[str, str]]:
    """Return versions, machines, seeds, data and settings: what each is, and its value."""
    origin = summary.provenance
    facts: list[tuple[str, str]] = []
    for k, made in enumerate(origin.environments, start=1):
        which = f" ({k})" if len(origin.environments) > 1 else ""
        facts.append((f"Versions{which}", _versions(made)))
        facts.append((f"Machine{which}", _machine(made)))
    facts.append(("Seeds", ", ".join(map(str, origin.seeds))))
    facts += [(f"Data{_which(one)}", _data(one)) for one in origin.data]
    facts += [(name.replace("_", " "), _plain(v)) for name, v in origin.settings.items()]
    if origin.command:
        facts.append(("Made by", origin.command))
    if summary.date:
        facts.append(("Begun" if summary.kind == "study" else "Made", summary.date))
    return facts


def commands_again(summary: StudySummary) -> list[str]:
    """Return the commands that make the numbers again; none where settings are not known."""
    origin = summary.provenance
    made = origin.environments[0] if origin.environments else {}
    version = f"=={made['edgedyn']}" if "edgedyn" in made else ""
    if summary.kind == "demo":
        seed = f" --seed {origin.seed}" if origin.seed is not None else ""
        first = [f"pip install 'edgedyn{version}'", f"edgedyn demo{seed} --out again"]
    elif origin.study:
        first = [
            f"pip install 'edgedyn[tf]{version}'",
            "edgedyn select study.toml --out again",
        ]
    else:
        return []
    return [*first, "edgedyn report again"]


def _versions(made: Mapping[str, Any]) -> str:
    """Return versions in a line."""
    found = {"edgedyn": made.get("edgedyn", "unknown"), "Python": made.get("python", "unknown")}
    found |= made.get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _machine(made: Mapping[str, Any]) -> str:
    """Return the machine in a line."""
    parts = [made.get("cpu"), made.get("platform")]
    if made.get("cores"):
        parts.insert(1, f"{made['cores']} cores")
    return ", ".join(str(part) for part in parts if part)


def _which(one: DataUsed) -> str:
    """Say which trials some data belong to."""
    return "" if one.n_train is None else f", {one.n_train} training samples"


def _data(one: DataUsed) -> str:
    """Return sizes and fingerprint of some data."""
    sizes = ", ".join(
        f"{n} {part}"
        for n, part in ((one.train, "train"), (one.validation, "validation"), (one.test, "test"))
        if n
    )
    shape = one.image_shape
    shown = f"; images {' × '.join(map(str, shape))}" if shape else ""
    seeds = f"; seed{'s' if len(one.seeds) > 1 else ''} {', '.join(map(str, one.seeds))}"
    return f"{sizes}{shown}; {one.fingerprint}{seeds}"


def _plain(value: Any) -> str:
    """Return a setting as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    return str(value)
