"""Folders of studies that were never run, for tests of summaries and reports."""

import json
from math import nan

from edgedyn.studies import EpochRecord, TrialRecord
from edgedyn.studies.store import Store

MARKUP = '<img src=x onerror="window.hacked = 1"></script><script>window.hacked = 2</script>\'"&'
ENVIRONMENT = {
    "edgedyn": "0.0",
    "python": "3.11.0",
    "packages": {"numpy": "2.0"},
    "cpu": "a processor",
    "cores": 2,
    "threads": None,
    "platform": "an OS",
    "command": "edgedyn select study.toml",
    "date": "2024-07-08T09:10:11+00:00",
}
DATA = {"train": 100, "validation": 200, "test": 50, "image_shape": [8, 8, 1]}
BETA = (0.5, 0.4, 0.32, 0.26, 0.2, 0.15, 0.11, 0.08)


def record(model, final, n=5, **options):
    """Return a run whose epochs lie on a line that reaches `final` at beta_eff = 0.

    `wiggle` moves every other epoch off the line; `betas` and `statuses` replace theirs.
    """
    betas = options.pop("betas", BETA[:n])
    statuses = options.pop("statuses", ["ok"] * n)
    wiggle, slope = options.pop("wiggle", 0.002), options.pop("slope", -0.8)
    test = options.pop("test", nan)
    status = options.pop("status", "completed" if test == test else "early")
    epochs = tuple(
        EpochRecord(
            k + 1,
            1.0 / (k + 1),
            final + slope * BETA[k] + wiggle * (-1) ** k,
            test if k == n - 1 else nan,
            betas[k],
            statuses[k],
            2.0,
            0.5,
        )
        for k in range(n)
    )
    made = {
        "environment": ENVIRONMENT,
        "data_fingerprint": "sha256:0123",
        "data": DATA,
        "parameters": 1234,
        "peak_memory_mib": 500.0,
    }
    fields = {"data": "digits", "seed": 0, "settings": {}, "provenance": made, **options}
    return TrialRecord(
        model=model,
        epochs=epochs,
        status=status,
        train_seconds=2.0 * n,
        beta_seconds=0.5 * n,
        **fields,
    )


def write_study(folder, records, candidates=None, *, seeds=(0,), n_train=(), **fields):
    """Write a study's folder; return its path."""
    store = Store(folder)
    for k, one in enumerate(records):
        store.write(f"trial-{k}", one)
    names = candidates or list(dict.fromkeys(one.model for one in records))
    study = {
        "data": {"spec": "digits", "n_train": list(n_train)},
        "candidates": [{"name": name, "factory": "some:model"} for name in names],
        "training": {"epochs": 8, "early_epochs": 5, "seeds": list(seeds)},
        "capacitance": {"scope": "probe"},
        "methods": ["capacitance", "pooled", "last_value"],
        "stage": "full",
        "output": "study",
        **fields,
    }
    values = {"study": study, "environment": ENVIRONMENT}
    (store.folder / "study.json").write_text(json.dumps(values))
    return store.folder


def three(folder, **fields):
    """Write a study of three candidates, trained to the end; the one predicted best is not best."""
    final = {"vgg": (0.9, 0.88), "resnet": (0.8, 0.91), "mlp": (0.7, 0.66)}
    records = [record(name, a, 8, test=test) for name, (a, test) in final.items()]
    return write_study(folder, records, **fields)


def nasty(folder):
    """Write a study in which every text is markup."""
    made = {"environment": {**ENVIRONMENT, "cpu": MARKUP, "packages": {MARKUP: MARKUP}}}
    made |= {"data_fingerprint": MARKUP, "data": DATA}
    records = [
        record(MARKUP, 0.9, 8, test=0.9, data=MARKUP, provenance=made),
        record("=1+1", 1.05, 8, test=0.8, data=MARKUP, provenance=made, scores={MARKUP: 1.0}),
        record(
            "plain", 0.7, 8, test=0.7, data=MARKUP, provenance=made, statuses=["ok"] * 7 + [MARKUP]
        ),
        record("failed", 0.7, 2, status="failed", reason=MARKUP, data=MARKUP, provenance=made),
    ]
    return write_study(folder, records, output=MARKUP)
