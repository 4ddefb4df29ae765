"""NCE and LEEP of the zoo's candidates, before any training: Table 1 lacks them otherwise.

Both ask what the *source* task's classifier says of the new task's images, so they exist only for
candidates that carry one with trained weights; the others are listed with the reason. Every run of
zoo/run.py is set up again as its record says (`edgedyn.nn.training.trial.prepare`: the same seed,
the same training images), and must show it: the digest of the data is that of the record, and
LogME, which both have, is its value. Writes ``results/source_scores.json``; tables/tables.py reads
it. Run:
``EDGEDYN_DATA=... python -m papers.jiang2024.zoo.source_scores`` (a few minutes on one core).
"""

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import keras
import msgspec

import edgedyn as ed
from edgedyn._environment import command, environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn._job import Job, Settings
from edgedyn.nn.scores.transferability import transfer_scores
from edgedyn.nn.training import trial as trials
from papers.jiang2024.judging.evidence import RECORDS, RESULTS, tasks
from papers.jiang2024.zoo.candidates import PRETRAINED, write_task

HERE = Path(__file__).resolve().parents[1]
SAME = 1e-3  # relative: features in single precision differ a little between numbers of threads
RANDOM = "random weights: its classifier has learnt no source task"
NO_CLASSIFIER = "the file of its weights has no classifier"


def main():
    """Score every run of every task and write the results."""
    folder = output_folder(RESULTS)
    rows, without = [], {}
    for task in tasks():
        data = HERE / "data" / f"{task}.npz"
        if not data.is_file():
            write_task(task, data)
        for record in ed.load_records(RECORDS / task):
            if record.model not in PRETRAINED:
                without[record.model] = RANDOM
            if record.model in without:
                continue
            row = scored(task, record, data)
            if row is None:
                without[record.model] = NO_CLASSIFIER
                continue
            rows.append(row)
            print(
                "{task} {model} s{seed}: NCE {nce:.3f}, LEEP {leep:.3f}".format(**row), flush=True
            )
    result = {"rows": rows, "without": without, "environment": environment()}
    write_text(folder / "source_scores.json", to_json(result) + "\n")


def scored(task, record, data):
    """Return the scores of one run, None where the candidate has no classifier.

    Raises
    ------
    ValueError
        Where data or candidate are not those of the record.
    """
    where, began = f"{task}, {record.model}, seed {record.seed}", perf_counter()
    one = setup(record, data)
    if one.provenance["data_fingerprint"] != record.provenance["data_fingerprint"]:
        raise ValueError(f"{where}: the data are not those of the record.")
    found = transfer_scores(one.model, one.data.train.x, one.data.train.y)
    logme, known = float(found.logme), record.scores["logme"]
    if not abs(logme - known) <= SAME * max(1.0, abs(known)):
        raise ValueError(f"{where}: LogME is {logme}, in the record {known}: another candidate.")
    if not found.n_source_classes:
        return None
    return {
        "task": task,
        "model": record.model,
        "seed": record.seed,
        "n_train": found.n_samples,
        "n_source_classes": found.n_source_classes,
        "nce": float(found.nce),
        "nce_status": found.nce.status,
        "leep": float(found.leep),
        "leep_status": found.leep.status,
        "logme": logme,
        "logme_of_the_record": known,
        "seconds": perf_counter() - began,
    }


def setup(record, data):
    """Return data and candidate of a run, as its record says."""
    keras.backend.clear_session()
    settings = msgspec.convert(record.settings, Settings)
    settings = replace(settings, data=replace(settings.data, spec=f"npz:{data}"))
    job = Job(record.model, record.data, record.seed, record.n_train, settings, command=command())
    return trials.prepare(job)


if __name__ == "__main__":
    main()
