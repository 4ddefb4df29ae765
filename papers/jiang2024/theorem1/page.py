"""The page and the figure of theorem1/backbones.py, from its runs; nothing is computed here."""

from math import isnan, nan

from edgedyn.report import figures

NAME = "theorem1_backbones"


def names(runs):
    """Return the backbones, in order."""
    return list(dict.fromkeys(r["backbone"] for r in runs))


def number(value):
    """Return a fitted number, or a dash where there is none."""
    return "-" if value is None or isnan(value) else f"{value:.3f}"


def table(runs, nodes):
    """Return the runs as Markdown, one kind of nodes."""
    lines = [
        "| backbone | labels | loss | eps, first | eps, last | least eps | beta_eff, largest "
        "| beta_eff, last | fall | K eps, last | slope of ln beta_eff | bound holds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for r in runs:
        points, s = r["points"], r["summary"][nodes]
        first, last = points[0], points[-1]
        largest = max(p[nodes]["beta"] for p in points)
        lines.append(
            f"| {r['backbone']} | {r['labels']} | {last['loss']:.2g} | {first['eps']:.3g} "
            f"| {last['eps']:.3g} | {r['least_eps']:.2g} | {largest:.3g} "
            f"| {last[nodes]['beta']:.3g} | {s['fall']:.3g} | {last[nodes]['bound']:.3g} "
            f"| {number(s['slope'])} +- {number(s['slope_stderr'])} "
            f"| {'at all' if s['holds'] else 'NOT at all'} {len(points)} points |"
        )
    return "\n".join(lines)


def signed_table(runs):
    """Return what the signed values do, as Markdown."""
    lines = [
        "| backbone | labels | nodes | points with a value | sign changes | last status "
        "| last value | bound over conditioning holds |",
        "|---|---|---|---:|---:|---|---:|---|",
    ]
    for r in runs:
        for nodes in ("kernels", "all"):
            s, last = r["summary"][nodes], r["points"][-1][nodes]
            held = "-" if not s["signed_ok"] else "yes" if s["signed_holds"] else "NO"
            value = f"{last['signed']:.3g}" if last["signed_status"] == "ok" else "-"
            lines.append(
                f"| {r['backbone']} | {r['labels']} | {nodes} "
                f"| {s['signed_ok']} of {len(r['points'])} | {s['sign_changes']} "
                f"| {last['signed_status']} | {value} "
                f"| {held} |"
            )
    return "\n".join(lines)


def verdict(runs):
    """Return what the runs show, in sentences made from their numbers."""
    points = [p[nodes] for r in runs for p in r["points"] for nodes in ("kernels", "all")]
    held = sum(p["beta"] <= p["bound"] for p in points)
    loose = [p["bound"] / p["beta"] for p in points]
    lines = [
        f"- The bound holds at {held} of {len(points)} points (both kinds of nodes); it is "
        f"{min(loose):.2g} to {max(loose):.2g} times the value.",
        *(sentence(r) for r in runs),
    ]
    for name in names(runs):
        last = {r["labels"]: r["points"][-1] for r in runs if r["backbone"] == name}
        twins, clean, noise = (last[kind] for kind in ("contradiction", "clean", "noise"))
        lines.append(
            f"- {name}: with contradictions beta_eff ends {ratio(twins, clean)} times as high as "
            f"with clean labels, {ratio(twins, noise)} times as high as with noise that can be "
            "memorised."
        )
    return "\n".join(lines)


def ratio(one, other):
    """Return how many times as high beta_eff is at one point as at another."""
    return f"{one['kernels']['beta'] / other['kernels']['beta']:.3g}"


def sentence(run):
    """Return what one run shows, with kernels as nodes."""
    s, last = run["summary"], run["points"][-1]
    beta = f"{last['kernels']['beta']:.3g}"
    text = f"- {run['backbone']}, {run['labels']}: "
    if run["least_eps"]:
        floor = f"{run['least_eps']:.2g}"
        kept = f"never below {floor}" if s["eps_at_least_the_floor"] else f"at times BELOW {floor}"
        return f"{text}eps ends at {last['eps']:.3g}, {kept}; beta_eff ends at {beta}."
    word = "interpolates" if s["interpolates"] else "does NOT interpolate"
    return (
        f"{text}{word} (loss {last['loss']:.2g}, accuracy {last['accuracy']:.3g}); beta_eff falls "
        f"by a factor {s['kernels']['fall']:.3g} to {beta}, while K is "
        f"{s['kernels']['K_over_first']:.2g} times what it was."
    )


HEAD = """# Theorem 1 on real backbones

Made by `python papers/jiang2024/{name}.py`, which
writes `results/{name}.json`; what is proved is in
[theorem1.md](theorem1.md) (g). Backbones pretrained on CIFAR-10 are fine-tuned on {n} images of
{classes} classes of CIFAR-100, by Adam with steps that fall to 0, under the frozen probe without
dropout (which acts in training only and would keep the errors up);
one seed, {lengths}.
`noise`: {share:.0%} of the labels are moved to another class; `contradiction`: {share:.0%} of the
images are twins with different labels, which is a floor of eps ("least eps"). "interpolates" means
a training loss below {level:g}. Everything is measured on the training images in inference mode,
before training and after each epoch. The slope is fitted over all points of a run; "fall" is the
largest beta_eff over the last.

"""


SIGNED = """With kernels as nodes the probe has three layers, and the softmax gauge (e) leaves no
signed value; with scale layers it has five. The bound over the conditioning is that of (c)."""


def page(runs, level):
    """Return the page of results; a training loss below the level counts as interpolating."""
    s = runs[0]["settings"]
    head = HEAD.format(
        name=NAME,
        level=level,
        n=s["classes"] * s["images_a_class"],
        lengths=", ".join(
            f"{r['settings']['epochs']} epochs of {r['backbone']}"
            for r in runs
            if r["labels"] == "clean"
        ),
        **s,
    )
    return (
        f"{head}{verdict(runs)}\n\n![beta_eff and its bound](figures/{NAME}.png)\n\n"
        f"## Kernels are nodes\n\n{table(runs, 'kernels')}\n\n"
        f"## All parameters are nodes: batch norms are scale layers\n\n{table(runs, 'all')}\n\n"
        f"## Signed strengths\n\n{SIGNED}\n\n{signed_table(runs)}\n"
    )


def draw(runs, path):
    """Draw beta_eff and its bound against eps, and the signed value along the clean run."""
    shown = names(runs)
    size = {"columns": len(shown), "rows": 2, "width": 5.5 * len(shown), "height": 9.5}
    with figures.saved_figure(path, **size) as (_, axes):
        for k, name in enumerate(shown):
            mine = {r["labels"]: r["points"] for r in runs if r["backbone"] == name}
            figures.theorem1_runs(
                axes[k],
                {
                    kind: [(p["eps"], p["kernels"]["beta"], p["kernels"]["bound"]) for p in points]
                    for kind, points in mine.items()
                },
                floors=["contradiction"],
            )
            axes[k].set(title=f"{name}, kernels are nodes")
            axes[k].set_xlabel(r"mean error $\epsilon = \langle\|e^L\|_\infty\rangle$")
            points = mine["clean"]
            below = axes[len(shown) + k]
            figures.signed_run(
                below,
                [p["epoch"] for p in points],
                [nan if p["all"]["signed"] is None else p["all"]["signed"] for p in points],
                [p["all"]["beta"] for p in points],
            )
            below.set(title=f"{name}, clean labels, all parameters are nodes", xscale="linear")
