"""The sentences that say what the studies found, written from results.

They stand on the site's page of verdicts, each between two comments, ``<!-- results: NAME -->`` and
``<!-- end -->``; the script that writes results/NAME.json puts it there. Its numbers are rows of
tables.md, close.md or nas.md. The README has two such places: `SHORT`, the answer in short, and one
for what a race costs.
"""

import json
import re
import textwrap
from pathlib import Path

from edgedyn._files import write_text
from papers.jiang2024.judging.bootstrap import with_interval
from papers.jiang2024.tables.words import verdict

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
README = ROOT / "README.md"
VERDICTS = ROOT / "docs" / "claims" / "verdicts.md"
SHORT = "short"  # the README's place
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
        "[tables.md](../../papers/jiang2024/tables.md); why: "
        "[ablations.md](../../papers/jiang2024/ablations.md)."
    )


def close(found):
    """Return what the close zoo says after five epochs, in rank and in value."""
    sources, task = _identity(found)
    said = []
    for group, words in (("all", "all candidates"), ("close", "the close ones alone")):
        rows = _converging(found, group)
        if not rows:
            continue
        ours, last = _pair(rows, ", all epochs")
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
        "Every row: [close.md](../../papers/jiang2024/close.md)."
    )


def _identity(found):
    """Return the sources of the default reading, and the task that stands for them."""
    sources = [s for s in found["sources"] if s["variant"] == "identity"]
    return sources, "mean over tasks" if len(sources) > 1 else sources[0]["task"]


def _converging(found, group):
    """Return the close zoo's rows after five epochs, by method."""
    task = _identity(found)[1]
    wanted = {
        "variant": "identity", "over": "mean", "observed": EPOCHS, "task": task, "group": group,
    }  # fmt: skip
    kept = (r for r in found["table1"] if all(r[k] == v for k, v in wanted.items()))
    return {r["method"]: r for r in kept}


def nas(found):
    """Return what the NAS benchmark says after the last epoch, over the whole range of accuracy."""
    one, k = found["samples"]["range"], found["epochs"]
    rows = _cells(found)
    (ours, last), count = _pair(rows, ", probe"), rows["parameters"]
    return (
        f"**Cells of NAS-Bench-201** ({one['cells']} over the whole range, {k} epochs from random "
        f"weights): the paper's rule is {_beside(ours)} (rho {ours['rho']:.2f} against "
        f"{last['rho']:.2f}, lead {with_interval(ours, 'lead')}); counting parameters, without any "
        f"training, reaches {count['rho']:.2f}. Every row, and the searches: "
        "[nas.md](../../papers/jiang2024/nas.md)."
    )


def _cells(found):
    """Return the rows of the cells over the whole range after the last epoch, by method."""
    epochs = {"curve": found["epochs"], "count": 0}
    kept = (r for r in found["samples"]["range"]["rows"] if r["status"] == "ok")
    return {r["method"]: r for r in kept if epochs.get(r["kind"]) == r["epochs"]}


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
        "[close.md](../../papers/jiang2024/close.md)."
    )


# Which results a sentence is of, where the names differ.
RESULTS = {"readings": "close"}
SENTENCES = {"table1": zoo, "close": close, "readings": readings, "nas": nas}


def short(found):
    """Return the README's answer: is the rule better than the accuracy after five epochs.

    `found` has the results table1, close and nas by name.
    """
    rows = {
        "networks that hardly train": _pair(_fine_tuned(found["table1"])),
        "real backbones that converge": _pair(_converging(found["close"], "all"), ", all epochs"),
        "cells of NAS-Bench-201": _pair(_cells(found["nas"]), ", probe"),
    }
    said = [verdict(ours) for ours, _ in rows.values()]
    better, worse = (said.count(f"{word}, surely") for word in ("better", "worse"))
    ours, last = rows["real backbones that converge"]
    nearer = "surely nearer" if ours["gain_low"] > 0 else "not surely nearer"
    table = ["| rank correlation after five epochs | paper's rule | last accuracy | lead |"]
    table += ["|---|---:|---:|---:|"]
    table += [
        f"| {words} | {one['rho']:.2f} | {other['rho']:.2f} | {with_interval(one, 'lead')} |"
        for words, (one, other) in rows.items()
    ]
    answer = (
        f"**{'Somewhere' if better else 'No'}.** In ranking candidates it is surely better in "
        f"{better} and surely worse in {worse} of {len(rows)} regimes (below: rank correlation "
        "with the final accuracy; the lead with its 95 % interval). In forecasting the final "
        f"accuracy of backbones that converge it is {nearer}: its mean error is "
        f"{ours['error']:.3f} against {last['error']:.3f}."
    )
    return filled(answer) + "\n\n" + "\n".join(table)


def _fine_tuned(table):
    """Return the rows of Table 1 after five epochs, by method: all candidates, all tasks."""
    task = "mean over tasks" if len(table["sources"]) > 1 else table["sources"][0]["task"]
    kept = [r for r in table["rows"] if (r["task"], r["group"]) == (task, "all")]
    return {r["method"]: r for r in kept if r["observed"] == EPOCHS}


def _pair(rows, variant=""):
    """Return the rows of the paper's rule and of the last value."""
    return rows[f"capacitance{variant}"], rows["last_value"]


def filled(text, first="", rest=""):
    """Return a text in lines, words whole."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def bullet(sentence):
    """Return a sentence as an item of a list."""
    return filled(sentence, "- ", "  ")


def placed(page, name, text):
    """Return a page with a text in its place.

    Raises
    ------
    ValueError
        Where the page has no such place, or several.
    """
    begin, end = f"<!-- results: {name} -->", "<!-- end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    changed, n = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if n != 1:
        raise ValueError(f"the page must have one place for the results of {name}; it has {n}.")
    return changed


def results(name):
    """Return the results that a sentence is of."""
    path = HERE / "results" / f"{RESULTS.get(name, name)}.json"
    return json.loads(path.read_text("utf-8"))


def write(name):
    """Put a sentence of the results on the page of verdicts, and the answer into the README."""
    put(name, SENTENCES[name](results(name)))
    answer = short({one: results(one) for one in ("table1", "close", "nas")})
    put_text(README, SHORT, answer)


def put(name, sentence):
    """Put a sentence into its place on the page of verdicts."""
    put_text(VERDICTS, name, bullet(sentence))


def put_text(page, name, text):
    """Put a text into its place on a page."""
    write_text(page, placed(page.read_text("utf-8"), name, text))
