"""What other probes and more observations change: from the records of ablations/run.py.

Five candidates and one seed: rho among five says little, as its intervals show; the errors of
prediction, and whether beta_eff falls as training errors do, say more.
"""

import numpy as np

from papers.jiang2024.judging.evidence import FEWEST, evidence, judge, with_interval
from papers.jiang2024.judging.rules import last_value, line, mean_curves, pooled

OBSERVED, SEED = 5, 0
PREFIX, BASELINE, TRAINED = "ablation-", "baseline", "trained-probe"
PROBES = {
    BASELINE: "frozen, 256 and 128 units (the default)",
    TRAINED: "trained, 256 and 128",
    "probe-64-32": "frozen, 64 and 32",
    "probe-512-256-128": "frozen, 512, 256 and 128",
}
LOOKS = {
    "default": "once an epoch, probe, 1024 samples (the default)",
    "all_samples": "all training samples",
    "network": "whole network",
    "quarters": "four times an epoch",
    "recent_quarters": "four times an epoch, the later half",
}
QUARTERS = (1, 2, 3)  # those before the epoch's end


def retraining():
    """Return what the records say of every probe, and of every way to look at the baseline.

    Returns
    -------
    dict
        ``probes`` and ``looks`` by name; empty where nothing was run.
    """
    found = {}
    for name in PROBES:
        try:
            found[name] = evidence(PREFIX + name)
        except ValueError as error:
            print(f"left out: {error}")
    # Like with like: the candidates that every probe has.
    common = set.intersection(*(set(f.models) for f in found.values())) if found else set()
    if len(common) < FEWEST:
        return {"probes": {}, "looks": {}}
    probes, looks = {}, {}
    for name, one in found.items():
        whole = mean_curves(one)[tuple(one.seeds)]
        whole = whole.those([k for k, m in enumerate(one.models) if m in common])
        probes[name] = {"n_models": len(common), **_end(whole)}
        probes[name].update(_judged(whole, *_points(whole, "default")))
        if name == BASELINE:
            looks = {look: _judged(whole, *_points(whole, look)) for look in LOOKS}
    return {"probes": probes, "looks": looks}


def _end(whole):
    """Return how far training has come, and beta_eff with it."""
    beta = whole.measures["beta_eff"]
    return {
        "test_accuracy": float(whole.truth.mean()),
        "last_train_loss": float(whole.measures["train_loss"][:, -1].mean()),
        "beta_observed_to_first": float(np.median(beta[:, OBSERVED - 1] / beta[:, 0])),
        "beta_last_to_first": float(np.median(beta[:, -1] / beta[:, 0])),
    }


def _points(whole, look):
    """Return beta_eff and accuracies of the observed epochs in one way to look."""
    early = whole.first(OBSERVED)
    name = {"all_samples": "beta_all_samples", "network": "beta_network"}.get(look, "beta_eff")
    beta, accuracy = early.measures[name], early.accuracy
    if "quarters" not in look:
        return beta, accuracy
    parts = [early.measures[f"beta_q{q}"] for q in QUARTERS] + [beta]
    beta = np.stack(parts, axis=2).reshape(len(beta), -1)
    parts = [early.measures[f"accuracy_q{q}"] for q in QUARTERS] + [accuracy]
    accuracy = np.stack(parts, axis=2).reshape(len(accuracy), -1)
    half = beta.shape[1] // 2 if look == "recent_quarters" else 0
    return beta[:, half:], accuracy[:, half:]


def _judged(whole, beta, accuracy):
    """Return rho, lead and mean absolute error of both rules and of the last value."""
    # The mean of the seeds stands for one: draws are of candidates alone.
    last = {(SEED,): np.column_stack([last_value(beta, accuracy), whole.truth])}
    found, missed = {}, abs(np.subtract(*last[SEED,].T))
    for name, rule in (("line", line), ("pooled", pooled), ("last_value", last_value)):
        mine = np.column_stack([rule(beta, accuracy, whole.n_validation), whole.truth])
        judged = judge({(SEED,): mine}, last, (SEED,), np.random.default_rng(SEED))
        errors = abs(np.subtract(*mine.T))
        judged["mae"] = float(np.nanmean(errors))
        judged["nearer"] = int(np.sum(errors < missed))  # ... than the last value
        found[name] = judged
    return found


# Its part of the page ---------------------------------------------------------------------------


def retraining_page(result):
    """Return the tables, or that there is nothing yet."""
    title = "## Other probes, other ways to look: five candidates retrained"
    if not result["probes"]:
        return f"{title}\n\nNot run yet: `python -m papers.jiang2024.ablations.run`."
    n = next(iter(result["probes"].values()))["n_models"]
    text = (
        f"{title}\n\n{n} pretrained candidates, {OBSERVED} epochs observed. mae: mean absolute "
        f"error of the unclipped prediction. Of {n} candidates rho says next to nothing. A probe "
        "of one hidden layer has no place here: its kernels have no interior layer."
    )
    head = "test accuracy | last training loss | beta_eff, observed to first | last to first"
    rows = []
    for name, r in result["probes"].items():
        end = (
            f"{r['test_accuracy']:.3f} | {r['last_train_loss']:.3f} "
            f"| {r['beta_observed_to_first']:.2f} | {r['beta_last_to_first']:.2f}"
        )
        rows.append(f"| {PROBES[name]} | {end} | {_cells(r)} |")
    parts = [text, _table(f"probe | {head}", 5, rows)]
    if TRAINED in result["probes"] and BASELINE in result["probes"]:
        parts.append(frozen_or_trained(result["probes"][BASELINE], result["probes"][TRAINED]))
    if result["looks"]:
        looks = [f"| {LOOKS[name]} | {_cells(r)} |" for name, r in result["looks"].items()]
        parts += ["The default probe, looked at in other ways:", _table("beta_eff", 1, looks)]
    return "\n\n".join(parts)


def frozen_or_trained(frozen, trained):
    """Say what freezing the probe, as Algorithm 1 does, changes; and what to do."""
    n = frozen["n_models"]
    words = (
        "*Is it the frozen probe?* Trained, it lets beta_eff fall to "
        f"{trained['beta_last_to_first']:.2f} of its first value (frozen: "
        f"{frozen['beta_last_to_first']:.2f}), the training loss to "
        f"{trained['last_train_loss']:.2f} ({frozen['last_train_loss']:.2f}), and test accuracy "
        f"rise to {trained['test_accuracy']:.3f} ({frozen['test_accuracy']:.3f}); the line "
        f"is nearer to the final accuracy than the last value in {trained['line']['nearer']} of "
        f"{n} candidates ({frozen['line']['nearer']} of {n}). "
    )
    if trained["line"]["rho_low"] > frozen["line"]["rho_high"]:
        return f"{words}**The probe should be trained**: its ranking is better."
    return f"{words}The frozen probe of Algorithm 1 stays the default: rankings are not told apart."


def _cells(judged):
    """Return mae of three methods, and rho of both rules."""
    mae = [f"{judged[name]['mae']:.3f}" for name in ("line", "pooled", "last_value")]
    return " | ".join([*mae, *(with_interval(judged[n]) for n in ("line", "pooled", "last_value"))])


def _table(head, columns, rows):
    """Return a table whose last columns are those of `_cells`."""
    words = "mae, line | pooled | last value | rho, line | pooled | last value"
    return "\n".join([f"| {head} | {words} |", "|---" * (columns + 6) + "|", *rows])
