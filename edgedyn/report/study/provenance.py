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
        packages = {"edgedyn": made.get("edgedyn", "unknown")}
        packages |= {"Python": made.get("python", "unknown"), **(made.get("packages") or {})}
        facts.append((f"Versions{which}", ", ".join(f"{p} {v}" for p, v in packages.items())))
        cores = f"{made['cores']} cores" if made.get("cores") else None
        machine = [made.get("cpu"), cores, made.get("platform")]
        facts.append((f"Machine{which}", ", ".join(str(part) for part in machine if part)))
    facts.append(("Seeds", ", ".join(map(str, origin.seeds))))
    for one in origin.data:
        part = "" if one.n_train is None else f", {one.n_train} training samples"
        facts.append((f"Data{part}", _data(one)))
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
        first = [f"pip install 'edgedyn[tf]{version}'", "edgedyn select study.toml --out again"]
    else:
        return []
    return [*first, "edgedyn report again"]


def _data(one: DataUsed) -> str:
    """Return sizes and fingerprint of some data."""
    parts = {"train": one.train, "validation": one.validation, "test": one.test}
    sizes = ", ".join(f"{n} {part}" for part, n in parts.items() if n)
    shown = f"; images {' × '.join(map(str, one.image_shape))}" if one.image_shape else ""
    seeds = f"; seed{'s' if len(one.seeds) > 1 else ''} {', '.join(map(str, one.seeds))}"
    return f"{sizes}{shown}; {one.fingerprint}{seeds}"


def _plain(value: Any) -> str:
    """Return a setting as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    return str(value)
