"""The sentences of the project's README that say what the studies found, written from results.

A sentence stands between two comments, ``<!-- results: NAME -->`` and ``<!-- end -->``; the script
that writes results/NAME.json puts it there. Its numbers are rows of tables.md or nas.md.
"""

import json
import re
import textwrap
from pathlib import Path

from edgedyn._files import write_text
from papers.jiang2024.judging.bootstrap import with_interval
from papers.jiang2024.tables.words import verdict

HERE = Path(__file__).resolve().parents[1]
README = HERE.parents[1] / "README.md"
WIDTH = 104
EPOCHS = 5


def zoo(table):
    """Return what Table 1 says after five epochs, among all candidates and the pretrained ones."""
    sources = table["sources"]
    task = "mean over tasks" if len(sources) > 1 else sources[0]["task"]
    said = []
    for group, words in (("all", "all candidates"), ("pretrained", "the pretrained ones alone")):
        kept = [r for r in table["rows"] if (r["task"], r["group"]) == (task, group)]
        rows = {r["method"]: r for r in kept if r["observed"] == EPOCHS}
        ours, last = rows["capacitance"], rows["last_value"]
        said.append(
            f"among {words} the paper's rule is {_beside(ours)} (rho {ours['rho']:.2f} against "
            f"{last['rho']:.2f}, lead {with_interval(ours, 'lead')})"
        )
    runs = sum(len(s["models"]) * len(s["seeds"]) for s in sources)
    return (
        f"**Fine-tuned networks** ({len(sources)} tasks, {runs} runs, {EPOCHS} epochs seen, "
        f"{task}): {'; '.join(said)}. Every row: "
        "[papers/jiang2024/tables.md](papers/jiang2024/tables.md); why: "
        "[ablations.md](papers/jiang2024/ablations.md)."
    )


def close(found):
    """Return what the close zoo says after five epochs, in rank and in value."""
    sources = [s for s in found["sources"] if s["variant"] == "identity"]
    task = "mean over tasks" if len(sources) > 1 else sources[0]["task"]
    wanted = {"variant": "identity", "over": "mean", "observed": EPOCHS, "task": task}
    kept = [r for r in found["table1"] if all(r[k] == v for k, v in wanted.items())]
    said = []
    for group, words in (("all", "all candidates"), ("close", "the close ones alone")):
        rows = {r["method"]: r for r in kept if r["group"] == group}
        if not rows:
            continue
        ours, last = rows["capacitance, all epochs"], rows["last_value"]
        said.append(
            f"among {words} the line through all epochs ranks {_beside(ours)} (rho "
            f"{ours['rho']:.2f} against {last['rho']:.2f}, lead {with_interval(ours, 'lead')}) and "
            f"misses the final accuracy by {ours['error']:.3f} against {last['error']:.3f} (gain "
            f"{with_interval(ours, 'gain')})"
        )
    runs = sum(len(s["models"]) * len(s["seeds"]) for s in sources)
    few, most = (of(len(s["seeds"]) for s in sources) for of in (min, max))
    counted = f"{runs} runs, {few if few == most else f'{few} to {most}'} seeds"
    return (
        f"**Real backbones that converge**, the paper's own regime ({len(sources)} tasks, "
        f"{counted}, {EPOCHS} of {sources[0]['epochs']} epochs seen, {task}): {'; '.join(said)}. "
        "Every row: [papers/jiang2024/close.md](papers/jiang2024/close.md)."
    )


def nas(found):
    """Return what the NAS benchmark says after the last epoch, over the whole range of accuracy."""
    one, k = found["samples"]["range"], found["epochs"]
    kept = [r for r in one["rows"] if r["status"] == "ok"]
    rows = {(r["method"], r["epochs"]): r for r in kept if r["kind"] in ("curve", "count")}
    ours, last, count = rows["capacitance, probe", k], rows["last_value", k], rows["parameters", 0]
    return (
        f"**Cells of NAS-Bench-201** ({one['cells']} over the whole range, {k} epochs from random "
        f"weights): the paper's rule is {_beside(ours)} (rho {ours['rho']:.2f} against "
        f"{last['rho']:.2f}, lead {with_interval(ours, 'lead')}); counting parameters, without any "
        f"training, reaches {count['rho']:.2f}. Every row, and the searches: "
        "[papers/jiang2024/nas.md](papers/jiang2024/nas.md)."
    )


def _beside(row):
    """Say how a method does beside the last value."""
    return {
        "better, surely": "better than the last value",
        "better": "above the last value, not surely",
        "equal": "as good as the last value",
        "worse": "below the last value, not surely",
        "worse, surely": "worse than the last value",
    }[verdict(row)]


def readings(found):
    """Return which reading of the frozen probe is the default, and why."""
    one = found["readings"]["default"]
    return (
        f"**Which reading of the frozen probe.** The same trials with both ({one['tasks']} tasks, "
        f"at least {one['seeds']} seeds): `statistics` is surely better in {one['better']} and "
        f"surely worse in {one['worse']} of {one['comparisons']} comparisons of the lines, in rank "
        f"and in value, so that the default is `{one['name']}`. Every row: "
        "[papers/jiang2024/close.md](papers/jiang2024/close.md)."
    )


# Which results a sentence is of, where the names differ.
RESULTS = {"readings": "close"}
SENTENCES = {"table1": zoo, "close": close, "readings": readings, "nas": nas}


def placed(readme, name, sentence):
    """Return the README with a sentence in its place.

    Raises
    ------
    ValueError
        Where the README has no such place.
    """
    begin, end = f"<!-- results: {name} -->", "<!-- end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text = textwrap.fill(
        sentence,
        WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    changed, n = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", readme)
    if n != 1:
        raise ValueError(
            f"{README.name} must have one place for the results of {name}; it has {n}."
        )
    return changed


def write(name):
    """Put a sentence of the results into the README."""
    path = HERE / "results" / f"{RESULTS.get(name, name)}.json"
    result = json.loads(path.read_text("utf-8"))
    put(name, SENTENCES[name](result))


def put(name, sentence):
    """Put a sentence into its place in the README."""
    write_text(README, placed(README.read_text("utf-8"), name, sentence))
