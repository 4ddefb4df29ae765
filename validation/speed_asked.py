"""The speed figures that were asked for, read from the benchmarks' results: one function a file.

A row is what was measured, the ratio to the competitor or to what is allowed, both sides, and what
was asked. Thresholds are those of the issues; where none was asked for, the row only shows the
figure. Nothing is measured here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Any

import numpy as np

Result = dict[str, Any]
PAPER_C = 1.3  # Jiang et al. (2024): the time of beta_eff over that of an epoch of training


@dataclass(frozen=True)
class Row:
    """One speed or memory figure.

    Parameters
    ----------
    what : str
    ratio : float
    unit : str
        What the ratio is a ratio of, to be read after the number.
    ours, competitor : str
    asked : str
        In words; empty where nothing but the figure was asked for.
    met : bool or None
        None where there is no threshold.
    issue : int
        That asks for it.
    """

    what: str
    ratio: float
    unit: str
    ours: str
    competitor: str
    asked: str
    met: bool | None
    issue: int


def at_most(what, ratio, unit, ours, competitor, limit, issue):
    """Return a row whose ratio must not exceed a limit."""
    asked, met = f"at most {limit:g}", ratio <= limit
    return Row(what, ratio, unit, ours, competitor, asked, met, issue)


def at_least(what, ratio, unit, ours, competitor, limit, issue):
    """Return a row whose ratio must reach a limit."""
    asked, met = f"at least {limit:g}", ratio >= limit
    return Row(what, ratio, unit, ours, competitor, asked, met, issue)


def within(what, value, limit, issue, show=None):
    """Return a row of an absolute figure and the most that is allowed."""
    show = show or seconds
    ratio, asked = value / limit, f"under {show(limit)}"
    return Row(what, ratio, "of what is allowed", show(value), "-", asked, value < limit, issue)


def shown(what, ratio, unit, ours, competitor, issue):
    """Return a row without a threshold."""
    return Row(what, ratio, unit, ours, competitor, "", None, issue)


def seconds(value):
    """Return ``12 s``, ``0.34 s`` or ``5.6 ms``."""
    return f"{value:.3g} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def mib(value):
    """Return a size in MiB."""
    return f"{value:.0f} MiB"


def imports(part: Result) -> Iterator[Row]:
    """Yield the time of the import."""
    ours, other = (part[name]["import_alone"] for name in ("edgedyn", "numpy"))
    name = "`import edgedyn` in a fresh process"
    yield within(name, ours, 0.3, 9)
    yield shown(name, ours / other, "times", seconds(ours), f"`import numpy` {seconds(other)}", 9)


def shown_help(part: Result) -> Iterator[Row]:
    """Yield the time of the command line's help."""
    yield within("`edgedyn --help`, whole process", part["help"]["seconds"], 0.5, 2)


def demo(part: Result) -> Iterator[Row]:
    """Yield the time of the demo."""
    yield within("`edgedyn demo`, whole process", part["demo"]["seconds"], 60, 2)


def ranking(result: Result) -> Iterator[Row]:
    """Yield the times of a ranking and of a study's report, beside those of the code before."""
    asked = {"rank, second call": 0.5, "report": 3}
    names = {"rank, second call": "`ed.rank`", "report": "`edgedyn report`, whole process"}
    of = f"{result['candidates']} candidates x {result['seeds']} seeds"
    for what, limit in asked.items():
        now, before = result["now"][what], result["before"][what]
        yield within(f"{names[what]}, {of}", now["seconds"], limit, 18)
        ratio = before["processor"] / now["processor"]
        ours, other = (seconds(one["processor"]) for one in (now, before))
        name = f"{names[what]}, {of}, time of the processor"
        yield shown(name, ratio, "times faster", ours, f"edgedyn before {other}", 18)


def linegraph(result: Result) -> Iterator[Row]:
    """Yield the line graph of a perceptron."""
    large, small = result["results"]
    clock, fills = large["median_seconds"], large["times_the_fill"]
    name = f"line graph of {large['sizes']}, {large['links']:,} links"
    default = "float64 matrix, the default"
    fill = f"plain fill {seconds(clock['fill'])}"
    for form, words in (("structure", "index arrays"), ("to_scipy float64", default)):
        ours = seconds(clock[form])
        yield at_most(f"{name}: {words}", fills[form], "times the fill", ours, fill, 3, 2)
    if "faster_than_igraph" in large:
        faster, other = large["faster_than_igraph"], f"igraph {seconds(clock['igraph'])}"
        for form, words in (
            ("structure", "index arrays"),
            ("to_scipy int8", "int8 matrix"),
            ("to_scipy float64", default),
        ):
            ours = seconds(clock[form])
            yield at_least(f"{name}: {words}", faster[form], "times faster", ours, other, 100, 2)
    other = f"its bytes written by two threads {seconds(clock['roofline'])}"
    ratio, ours = clock["to_scipy float64"] / clock["roofline"], seconds(clock["to_scipy float64"])
    yield shown(f"{name}: {default}", ratio, "times its roofline", ours, other, 23)
    product = clock["sparse product int8"]
    ours = clock["to_scipy int8"]
    yield shown(
        f"{name}: int8 matrix",
        product / ours,
        "times faster",
        seconds(ours),
        f"sparse incidence product {seconds(product)}",
        2,
    )
    clock = small["median_seconds"]
    yield shown(
        f"line graph of {small['sizes']}, {small['links']:,} links: float64 matrix",
        small["faster_than_networkx"]["to_scipy float64"],
        "times faster",
        seconds(clock["to_scipy float64"]),
        f"networkx {seconds(clock['networkx'])}",
        2,
    )


def capacitance(result: Result) -> Iterator[Row]:
    """Yield beta_eff of a perceptron."""
    part = result["gradient"]
    clock = part["median_seconds"]
    for form, limit in (("direct", 1.5), ("full", 6)):
        for yardstick in ("plain numpy gradient", "net.gradient"):
            yield at_most(
                f"beta_eff of {part['sizes']}, {part['samples']} samples, {form} coupling",
                part[f"times {yardstick}"][form],
                "gradients",
                seconds(clock[form]),
                f"{yardstick} {seconds(clock[yardstick])}",
                limit,
                2,
            )
    if result.get("tensorflow"):
        part = result["tensorflow"]
        clock = part["median_seconds"]
        yield shown(
            f"block of P, {part['sizes']}, closed form",
            part["jacobian_over_closed_form"],
            "times faster",
            seconds(clock["closed form"]),
            f"TensorFlow's Jacobian {seconds(clock['TensorFlow Jacobian'])}",
            2,
        )
    part = result["streaming"]
    chunks, whole = part["peak_mib"].values()
    yield shown(
        f"peak memory of beta_eff, {part['samples']:,} samples in chunks",
        chunks / whole,
        "times",
        mib(chunks),
        f"in one chunk {mib(whole)}",
        2,
    )


def training(result: Result) -> Iterator[Row]:
    """Yield the training of perceptrons."""
    for row in result["results"]:
        clock = row["median_seconds"]
        name = f"training {row['sizes']}, {row['dtype']}"
        ours = seconds(clock["edgedyn"])
        other = f"MLPClassifier {seconds(clock['scikit-learn'])}"
        yield shown(name, row["sklearn_over_edgedyn"], "times faster", ours, other, 2)
        other = f"its matrix products alone {seconds(clock['matrix products'])}"
        yield shown(name, row["edgedyn_over_products"], "times", ours, other, 2)


def callback(result: Result) -> Iterator[Row]:
    """Yield what beta_eff costs beside an epoch of training."""
    for row in result["rows"]:
        name, n = f"c of the callback, {row['network']}", row["training_samples"]
        epoch = f"epoch of {n:,} images {seconds(row['train_seconds'])}"
        ours = seconds(row["beta_seconds"]["default, 1024 samples"])
        if n == 10_000:
            c = row["c_at_10000_samples"]
            limit, issue = (0.02, 23) if row["network"] == "MobileNetV2" else (0.05, 3)
            yield at_most(name, c, "of an epoch", ours, epoch, limit, issue)
        else:
            yield at_most(
                f"{name}, scaled to an epoch of 10 000 images",
                row["c_at_10000_samples"],
                "of an epoch",
                ours,
                epoch,
                0.05,
                3,
            )
            c = row["c"]["default, 1024 samples"]
            yield shown(f"{name}, as measured", c, "of an epoch", ours, epoch, 3)
        yield shown(
            f"{name}, all training samples",
            row["c"]["all training samples"],
            "of an epoch",
            seconds(row["beta_seconds"]["all training samples"]),
            f"{epoch}; the paper reports {PAPER_C}",
            3,
        )


def network(result: Result) -> Iterator[Row]:
    """Yield beta_eff of whole networks, and the routes to the probe's."""
    for row in result["network"]:
        clock, memory = row["median_seconds"], row["peak_memory_mib"]
        other = f"gradient {seconds(clock['gradient'])}"
        forms = ("beta_eff", "beta_eff, all nodes", "beta_eff, signed", "public call")
        for form in (one for one in forms if one in clock):
            times = row["times_gradient"][form]
            name = f"whole network, {row['network']}: {form}"
            limit, issue = (2, 22) if form == "public call" else (3, 3)
            yield at_most(name, times, "gradients", seconds(clock[form]), other, limit, issue)
        if "public call" in clock:
            first = row["first_call_seconds"]["public call"]
            times = first / clock["public call"]
            name = f"whole network, {row['network']}: first public call, which compiles"
            yield shown(name, times, "times a later one", seconds(first), other, 3)
        yield shown(
            f"whole network, {row['network']}: peak memory",
            memory["beta"] / memory["gradient"],
            "times",
            mib(memory["beta"]),
            f"gradient {mib(memory['gradient'])}",
            3,
        )
    for row in result["probe"]:
        sizes = [row["features"], *row["units"], row["classes"]]
        for coupling in ("direct", "full"):
            part = row[coupling]
            clock = part["median_seconds"]
            ours = seconds(clock["closed form"])
            for route, times in part["times_closed_form"].items():
                if route != "closed form":
                    name = f"probe {sizes}, {coupling} coupling, closed form"
                    other = f"{route} {seconds(clock[route])}"
                    yield shown(name, times, "times as fast", ours, other, 3)


def networks(result: Result) -> Iterator[Row]:
    """Yield the line graphs of convolutional networks."""
    for row in result["large"]:
        limit = 10 if row["name"] == "VGG16" else 30
        name = f"line graph of {row['name']}, {row['n_nodes']:,} nodes"
        yield within(name, row["seconds"]["without_model"], limit, 4)
        yield within(f"{name}: peak memory", row["peak_MiB"], 4e9 / 2**20, 4, mib)
    part = result["explicit"]
    clock = part["median_seconds"]
    asked = {
        "index arrays": (3, 4),
        "to_scipy float64": (3, 4),
        "to_scipy multiplicities": (2.5, 23),
    }
    for form, (limit, issue) in asked.items():
        yield at_most(
            f"explicit matrix of a CNN, {part['n_links']:,} links: {form}",
            part["times_the_fill"][form],
            "times the fill",
            seconds(clock[form]),
            f"plain fill {seconds(clock['fill'])}",
            limit,
            issue,
        )
    for axis, part in result["growth"].items():
        yield shown(
            f"growth of counting with {axis}, {part['values'][0]} to {part['values'][-1]}",
            part["exponent_counting"],
            "is the exponent",
            seconds(part["seconds_counting"][-1]),
            f"links: exponent {part['exponent_links']:.3g}",
            4,
        )


def reduction(result: Result) -> Iterator[Row]:
    """Yield steady states and the reduction of a network."""
    for key, part in result.items():
        kind, _, n = key.partition("_")
        if kind not in ("explicit", "implicit"):
            continue
        for begin, row in part.items():
            reached = [s for s in row["scipy"] if s["reached"]] or row["scipy"]
            best = min(reached, key=lambda s: s["seconds"])
            other = f"{best['method']} {seconds(best['seconds'])}"
            if row["lower_bound"]:
                other = f"scipy's {kind} methods, none there after {seconds(best['seconds'])}"
            yield at_least(
                f"steady state, {int(n):,} nodes, {begin} start",
                row["times_faster_than_best"],
                "times faster" + (", or more" if row["lower_bound"] else ""),
                seconds(row["seconds"]),
                other,
                5,
                5,
            )
    sizes = result["growth"]["sizes"]
    for begin, exponent in result["growth"]["exponents"].items():
        name = f"growth of the steady state, {begin} start, to {sizes[-1]['n_nodes']:,} nodes"
        ours = seconds(sizes[-1][f"seconds_{begin}"])
        yield shown(name, exponent, "is the exponent", ours, "-", 5)
    large = [s for s in sizes if s["MiB_matrix"] > 1]  # smaller ones fit into memory used before
    extra = [s["MiB_peak"] - s["MiB_before"] for s in large]
    slope = float(np.polyfit([log(s["n_links"]) for s in large], np.log(extra), 1)[0])
    other = f"the matrix {mib(sizes[-1]['MiB_matrix'])}"
    name = "growth of the steady state's memory with the links"
    asked = "linear"
    met = slope <= 1.05  # a fit of three points; more than linear would be 2
    yield Row(name, slope, "is the exponent", mib(extra[-1]), other, asked, met, 5)
    yield from streaming(result["streaming"])


def streaming(part: Result) -> Iterator[Row]:
    """Yield reading links once against reducing them, from the disk and from the cache."""
    name = f"beta_eff of {part['links']:,} streamed links, from the"

    def compared(source, other, unit, words):
        """Return a row's words and numbers by the medians of the rounds."""
        rounds = [r for r in part["rounds"] if r["source"] == source]
        ours, theirs = (median(r[way] for r in rounds) for way in ("reduce", other))
        what = f"{name} {source}, median of {len(rounds)}"
        return what, ours / theirs, unit, seconds(ours), f"{words} {seconds(theirs)}"

    yield at_most(*compared("disk", "read", "readings", "reading once"), 2, 5)
    yield at_most(*compared("cache", "read", "readings", "reading once"), 2, 23)
    alone = "its scattered additions alone, from the same maps"
    yield shown(*compared("cache", "scattered", "times its roofline", alone), 23)


def predictors(result: Result) -> Iterator[Row]:
    """Yield the capacitance rule and LogME."""
    for epochs, milliseconds in result["capacitance_ms"].items():
        yield within(f"capacitance rule, {epochs}", milliseconds / 1000, 5e-3, 6)
    part = result["logme"]
    name = f"LogME, {part['samples']} x {part['features']}, {part['classes']} classes"
    clock = {key: float(np.median(values)) for key, values in part["seconds"].items()}
    clock["SVD"] = part["seconds_svd"]
    for ratio, other in (
        ("times_the_eigendecomposition", "eigendecomposition"),
        ("times_it_with_gram_matrix", "eigendecomposition with Gram matrix"),
        ("times_the_svd", "SVD"),
    ):
        ours, words = seconds(clock["logme"]), f"{other} {seconds(clock[other])}"
        yield at_most(name, part[ratio], "times", ours, words, 1.5, 6)


def overhead(part: Result) -> Iterator[Row]:
    """Yield what a study adds to its trainings."""
    unit = "of 1.03 times these + 1 s a trial"

    def compared(which):
        one = part[which]
        own = one["bare"] + one["beta"]
        name = f"a study of {part['trials']} trials against its bare trainings and beta_eff"
        return (
            f"{name}, processes, {which} of {part['rounds']}",
            one["study"] / (1.03 * own + part["trials"]),
            unit,
            seconds(one["study"]),
            f"bare trainings and beta_eff {seconds(own)}",
        )

    yield at_most(*compared("least"), 1, 23)
    yield shown(*compared("median"), 23)


def load(part: Result) -> Iterator[Row]:
    """Yield the times of 10 000 stored records, short and long ones."""
    for length in ("short", "long"):
        row = part[length]
        name = f"{row['records']:,} records of {row['epochs_each']} epochs"
        start, read = row["start_seconds"], row["load_seconds"]
        yield within(f"{name}: start a study on them", start, 2, 7)
        yield within(f"{name}: load them", read, 2, 7)
        limit, issue = (1, 23) if length == "long" else (2, 7)
        yield within(f"{name}: both, one after the other", start + read, limit, issue)
        first, looked = row["first_start_seconds"], row["load_with_all_epochs_seconds"]
        both = first + read
        yield within(f"{name}: start without an index, then load", both, 2, 7)
        yield within(f"{name}: load them and look at every epoch", looked, 2, 7)


def schedule(part: Result) -> Iterator[Row]:
    """Yield the rate of empty trials."""
    rate, least = part["per_second"], 200
    yield Row(
        f"{part['trials']:,} empty trials on {part['workers']} Dask workers",
        rate / least,
        "of what is asked",
        f"{rate:.0f} a second",
        "-",
        f"at least {least} a second",
        rate >= least,
        7,
    )
