"""A whole study: early epochs of every candidate or a race, a ranking, the best to the end."""

import errno
import importlib
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from edgedyn import _notebook as notebook
from edgedyn._environment import command, environment, published
from edgedyn._files import atomic, json_ready
from edgedyn._job import Job, Rehearsal, Settings, Survey
from edgedyn.predict.choice import Choice
from edgedyn.predict.forecast import Completed, Forecast
from edgedyn.predict.methods import method_named
from edgedyn.predict.rank import Ranking
from edgedyn.studies.chosen import early_choice, forecasts, study_choice, taught_by
from edgedyn.studies.cost import GPU_TFLOPS, cost
from edgedyn.studies.early import early_ranking
from edgedyn.studies.engine import Outcome, Pool, pool, run_jobs
from edgedyn.studies.fresh import run_fresh
from edgedyn.studies.given import StudyFields
from edgedyn.studies.journal import Journal, record_of
from edgedyn.studies.progress import Progress, Watcher
from edgedyn.studies.race import Seen, heats, standing
from edgedyn.studies.record import TrialRecord, stalled, whole
from edgedyn.studies.store import RecordTable, Store
from edgedyn.studies.study import Study, Trial
from edgedyn.studies.study_file import load_study

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger(__name__)
DONE = ("completed", "early", "diverged")
FILES = "files.json"  # in a study's folder: what is known of its images
UNSURE = 2  # how many go on by default where the first cannot be told apart from others


@dataclass(frozen=True)
class Selection:
    """What a study found.

    Parameters
    ----------
    records : RecordTable
        One a trial, also failed ones.
    rankings : dict of (int or None) to Ranking
        By number of training samples; None: all of them.
    choice : Choice or None
        Which candidates it names at the largest training size, and how surely: of several trained
        to the end the ones with the best validation accuracy there, else the first by the early
        epochs. A full study, which judges its early choice, keeps that.
    forecasts : dict of str to Forecast
        Final accuracies at the largest training size, by candidate, from the early epochs.
    best_model : Path or None
        The trained network of the first candidate named, a ``.keras`` file; None before any was
        trained to the end, or where only the records of a full study were kept.
    seconds : float
        What this run took; earlier ones, which were interrupted, not counted.
    """

    folder: Path
    study: Study
    records: RecordTable
    rankings: dict[int | None, Ranking]
    choice: Choice | None
    forecasts: dict[str, Forecast]
    best_model: Path | None
    n_validation: int
    seconds: float

    @property
    def ranking(self) -> Ranking | None:
        """The ranking with the most training samples; None where no candidate could be ranked."""
        return self.rankings.get(_largest(self.study))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The candidate named first, and those that cannot be told apart from it."""
        return self.choice.chosen if self.choice else ()

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Records of trials that failed or diverged; `reason` says why."""
        return tuple(r for r in self.records if r.status in ("failed", "diverged"))

    def to_frame(self) -> "pd.DataFrame":
        """Return the ranking as a pandas DataFrame, one row a candidate and method."""
        import pandas as pd

        frames = [r.to_frame().assign(n_train=n) for n, r in self.rankings.items()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        names = ("model", "seed", "n_train", "reason")
        return {
            "folder": str(self.folder),
            "study": self.study.to_dict(),
            "chosen": list(self.chosen),
            "choice": self.choice and self.choice.to_dict(),
            "forecasts": {name: one.to_dict() for name, one in self.forecasts.items()},
            "rankings": [{"n_train": n, **r.to_dict()} for n, r in self.rankings.items()],
            "failed": [{name: getattr(r, name) for name in names} for r in self.failed],
            "best_model": None if self.best_model is None else str(self.best_model),
            "n_validation": self.n_validation,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        named = str(self.choice) if self.choice is not None else "no candidate named"
        return f"Selection({len(self.records)} trials, {len(self.failed)} failed: {named})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: whom the study names, its forecast, the ranking."""
        facts: dict[str, object] = {"trials": f"{len(self.records)}, {len(self.failed)} failed"}
        if self.choice is not None:
            facts[f"named after {self.choice.epochs} epochs"] = self.choice
        for name in self.chosen[:1]:
            if name in self.forecasts:
                facts[f"forecast for {name}"] = self.forecasts[name]
        facts |= {"trained network": self.best_model, "folder": self.folder}
        ranking = "" if self.ranking is None else self.ranking.html_table()
        reasons = [(r.model, r.seed, r.reason) for r in self.failed]
        failed = notebook.table(["failed", "seed", "reason"], reasons)
        return notebook.card("Selection", facts, ranking, failed)

    def __str__(self) -> str:
        lines = [f"{len(self.records)} trials in {self.folder}, {len(self.failed)} failed"]
        lines += [f"{r.model}, seed {r.seed}: {r.reason}" for r in self.failed]
        if self.choice is not None:
            lines.append(f"after {self.choice.epochs} epochs: {self.choice}")
        if self.ranking is not None:
            lines.append(str(self.ranking))
        return "\n".join(lines)


def select(
    study: Study | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
    **fields: Unpack[StudyFields],
) -> Selection:
    """Fine-tune candidates for a few epochs, rank them, train the best to the end: a `Selection`.

    Parameters
    ----------
    study : path, mapping or Study, optional
        A study file (TOML) or its fields; see `edgedyn.studies.Study`. ``edgedyn select --init``
        writes a commented one.
    progress : callable, optional
        Called about twice a second with a `Progress`.
    executor : concurrent.futures.Executor, optional
        Runs the trials, each in a fresh process; by default what the study's engine says.
    **fields
        Fields of the study, in place of the file's: ``data="digits"``,
        ``candidates=["MobileNet"]``, ``training={"epochs": 10}``, ...

    Raises
    ------
    TypeError, ValueError
        For fields that are wrong, data that cannot be read, a folder that holds another study or
        that another process works on.
    OSError
        Where the disk is full or was lost; what was finished is kept.
    ImportError
        Without Keras and a framework below it, or without Dask where it is asked for.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Algorithm 1. Whatever interrupts a study, the same
    call takes it up where it stopped: finished trials are not run again, others go on from their
    last epoch, and the numbers are those of an uninterrupted run. Failed trials are tried again.

    Examples
    --------
    >>> import tempfile
    >>> import edgedyn as ed
    >>> found = ed.select(
    ...     data={"spec": "digits", "n_train": [50]},
    ...     candidates=[{"name": "mlp", "factory": "edgedyn.nn.models.small:mlp"}],
    ...     training={"epochs": 3, "early_epochs": 3},
    ...     output=tempfile.mkdtemp(),
    ... )
    >>> [(r.model, r.status, r.n_epochs) for r in found.records], found.best_model.name
    ([('mlp', 'completed', 3)], 'best.keras')
    """
    began = time.perf_counter()
    plan = load_study(study, fields)
    _needs_keras()
    _ = plan.digests  # of the candidates' files as they are now
    store = Store(plan.path(plan.output))
    with store.locked(), _disk_errors(store.folder):
        records = store.of_trials(plan.trials)
        store.check(plan, records)
        taught = taught_by(plan.forecast.folders)
        run = _Run(plan, store, records, progress or (lambda status: None), executor, taught)
        run.all_stages()
        store.index()
        return run.selection(time.perf_counter() - began)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say of a disk that is full or lost that nothing finished is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            raise
        advice = "nothing finished is lost: make room and run the same command again"
        raise OSError(error.errno, f"{error.strerror}; {advice}", str(folder)) from error


def rehearse(
    study: Study | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Callable[[str], None] | None = None,
    gpu_tflops: float = GPU_TFLOPS,
    **fields: Unpack[StudyFields],
) -> list[dict[str, Any]]:
    """Estimate what a study takes, by a few steps of every candidate; its folder stays untouched.

    Nothing is downloaded. Candidates take their steps on synthetic images, with random weights
    where ImageNet's are not here; of data sets with names, counts are known without the data.
    Parameters and errors are as for `select`; missing data of which nothing is known are refused.
    `progress` is called with a few words before each step; `gpu_tflops` is what a GPU sustains.

    Returns for each candidate ``model`` and what `edgedyn.studies.cost.cost` says, or ``model,
    reason`` where it failed; ``missing`` lists what is not here, in sentences; ``finish_seconds``
    is what training it to the end would take where the stage is "finish".
    """
    say = progress or (lambda words: None)
    plan = load_study(study, fields)
    _needs_keras()
    say(f"looking at {plan.data.spec}, nothing is downloaded")
    seen = msgspec.convert(_checked(plan, "survey"), Survey)
    threads = plan.engine.threads or max(1, (os.cpu_count() or 1) // plan.engine.workers)
    found = []
    for k, trial in enumerate(plan.trials[: len(plan.candidates)], start=1):
        name = trial.candidate.name
        say(f"a few steps of {name}, {k} of {len(plan.candidates)}")
        outcome = run_fresh(_job(plan, trial, task="rehearse", survey=seen, threads=threads))
        if outcome["kind"] != "done":
            found.append({"model": name, "reason": outcome["reason"]})
            continue
        took = msgspec.convert(whole(outcome["result"]), Rehearsal)
        found.append({"model": name, **cost(plan, seen, took, gpu_tflops=gpu_tflops)})
    return found


def _needs_keras() -> None:
    """Refuse at once where Keras or its framework is absent, without loading them here."""
    importlib.import_module("edgedyn.nn")


def _largest(study: Study) -> int | None:
    """Return the largest training size of a study; None for all samples."""
    return max(study.data.n_train, default=None)


def _job(study: Study, trial: Trial, **fields: Any) -> Job:
    """Return what a trial's process needs to know."""
    candidate = trial.candidate
    return Job(
        model=candidate.name,
        data=published(study.data.spec),
        seed=trial.seed,
        n_train=trial.n_train,
        settings=msgspec.convert(json_ready(study.settings(trial)), Settings),
        files={name: str(study.path(path)) for name, path in candidate.files.items()},
        early=study.begun,
        last=study.training.epochs,
        finish_probe=study.last_probe,
        patience=study.patience,
        timeout=study.engine.timeout,
        scores=tuple(name for name in study.methods if method_named(name).measured_by),
        command=command(),
        paths=(study.folder, os.getcwd()),
        cwd=study.folder,
        **fields,
    )


def _checked(study: Study, task: str = "check", cache: str = "") -> dict[str, Any]:
    """Let a process check or survey data and names before any trial; return what it found."""
    candidates, measures = study.candidates, study.capacitance.measures
    functions = [*(c.factory for c in candidates), measures]
    job = _job(
        study,
        study.trials[0],
        task=task,
        functions=tuple(name for name in functions if name is not None),
        backbones=tuple(c.backbone for c in candidates if c.backbone is not None),
        n_trains=study.data.n_train or (None,),
        cache=cache,
    )
    for _ in range(study.engine.retries + 1):  # a killed process says nothing about the study
        outcome = run_fresh(job)
        if outcome["kind"] != "killed":
            break
    if outcome["kind"] != "done":
        raise ValueError(f"the study cannot be run: {outcome['reason']}")
    return dict(outcome["result"])


def _until(record: TrialRecord, epochs: int) -> TrialRecord:
    """Return a record as it was after so many epochs."""
    longer = record.n_epochs > epochs
    return replace(record, epochs=record.epochs[:epochs], status="early") if longer else record


@dataclass
class _Run:
    """One call of `select`."""

    study: Study
    store: Store
    records: dict[str, TrialRecord]
    progress: Callable[[Progress], None]
    executor: Executor | None
    taught: Sequence[Completed]
    n_validation: int = 0
    rankings: dict[int | None, Ranking] = field(default_factory=dict)

    def all_stages(self) -> None:
        """Run what the study's stage asks for, and rank."""
        for k, (stage, target, trials) in enumerate(self._rounds()):
            due = self._due(trials, target)
            if k == 0:
                if due or self._data_are_there():
                    self._check_data(names=bool(due))
                self.store.write_study(self.study, environment())
            LOG.info("%s: %d of %d trials to epoch %d", stage, len(due), len(trials), target)
            if due:
                self._run(due, target, stage)
        self._rank()

    def _rounds(self) -> Iterator[tuple[str, int, Sequence[Trial]]]:
        """Yield who is to be trained to which epoch; what a round has shown decides the next."""
        study, training = self.study, self.study.training
        if study.stage == "race":
            yield from self._heats()
        elif study.stage == "full":
            yield "full", training.epochs, study.trials
        else:
            yield "early", training.early_epochs, study.trials
        if study.stage == "finish":
            yield "finish", training.epochs, self._chosen()

    def _data_are_there(self) -> bool:
        """Tell whether the data of a study that has ended can be looked at still."""
        path = self.study.data.spec.partition(":")[2]
        return bool(path) and (Path(self.study.folder) / Path(path).expanduser()).exists()

    def _check_data(self, *, names: bool) -> None:
        """Look at data, and names, before any trial; refuse data that others did not have."""
        task = "check" if names else "check data"
        found = _checked(self.study, task, cache=str(self.store.folder / FILES))
        self.n_validation, now = found["n_validation"], found["source_fingerprint"]
        for note in found.get("notes", ()):
            warnings.warn(note, stacklevel=5)
        for key, record in self.records.items():
            if record.provenance.get("source_fingerprint", now) != now:
                raise ValueError(
                    f"the data have changed since trial {key!r} was run; give the study another "
                    "output folder, or undo the change."
                )

    def _heats(self) -> Iterator[tuple[str, int, Sequence[Trial]]]:
        """Yield the rounds of a race; what earlier calls have trained is looked at, not run."""
        study, trials = self.study, self.study.trials
        names, limit = [c.name for c in study.candidates], study.race.budget or inf
        race = heats(names, study.heats, confidence=study.race.confidence, budget=limit)
        seen: Seen | None = None
        with suppress(StopIteration):
            while seen is None or seen[0]:
                epoch, alive = next(race) if seen is None else race.send(seen)
                running = [t for t in trials if t.candidate.name in alive]
                yield f"race to epoch {epoch}", epoch, running
                seen = standing([self.records[t.key] for t in trials], alive, epoch)

    def selection(self, seconds: float) -> Selection:
        """Return the result."""
        ordered = [self.records[t.key] for t in self.study.trials if t.key in self.records]
        largest, training = _largest(self.study), self.study.training
        records = [r for r in ordered if r.n_train == largest]
        ranking = self.rankings.get(largest)
        choice = study_choice(ranking, records, training.epochs, self.study.stage)
        early, n = training.early_epochs, self.n_validation or None
        return Selection(
            folder=self.store.folder,
            study=self.study,
            records=RecordTable(ordered),
            rankings=self.rankings,
            choice=choice,
            forecasts=forecasts(records, early, training.epochs, n, self.taught),
            best_model=self._best_model(choice),
            n_validation=self.n_validation,
            seconds=seconds,
        )

    def _due(self, trials: Iterable[Trial], target: int) -> list[Trial]:
        """Return the trials that have not come so far; failed ones are tried again."""
        due = []
        for trial in trials:
            record = self.records.get(trial.key)
            done = False
            if record is not None and record.status in DONE:
                self.n_validation = record.n_validation
                # A full study is for its records; others for the finished networks.
                kept = target < self.study.training.epochs or self.study.stage == "full"
                saved = kept or self.store.model_path(trial.key).is_file()
                whole = record.n_epochs >= target
                if not whole and (patience := self.study.patience):
                    accuracy = [e.val_accuracy for e in record.epochs]
                    whole = stalled(accuracy, self.study.begun, patience)
                done = record.status == "diverged" or (whole and saved)
            if not done:
                due.append(trial)
        return due

    def _run(self, due: Sequence[Trial], target: int, stage: str) -> None:
        """Run trials up to an epoch."""
        study, store, engine = self.study, self.store, self.study.engine
        by_key = {trial.key: trial for trial in due}
        watcher = Watcher(stage, study, store, self.records, due, target, self.n_validation)
        with pool(engine, store.folder, self.executor) as where:
            jobs = {trial.key: self._job(trial, target, where) for trial in due}

            def on_outcome(key: str, outcome: Outcome) -> None:
                self._keep(by_key[key], jobs[key], outcome)
                watcher.ended(key)
                self.progress(watcher.look())

            run_jobs(
                jobs,
                where,
                on_outcome,
                retries=engine.retries,
                progress_of=lambda key: len(Journal(store.trial_folder(key)).epochs),
                tick=lambda: self.progress(watcher.look()),
            )

    def _job(self, trial: Trial, target: int, where: Pool) -> Job:
        """Return a trial's job."""
        return _job(
            self.study,
            trial,
            folder=str(self.store.trial_folder(trial.key)),
            save=str(self.store.model_path(trial.key)),
            cache=str(self.store.folder / FILES),
            target=target,
            threads=where.threads,
        )

    def _keep(self, trial: Trial, job: Job, outcome: Outcome) -> None:
        """Store a trial's outcome."""
        if outcome["kind"] == "disk":
            raise OSError(errno.ENOSPC, outcome["reason"])
        if outcome["kind"] == "killed":
            journal = Journal(self.store.trial_folder(trial.key))
            n, times = len(journal.epochs) + 1, self.study.engine.retries + 1
            reason = f"{outcome['reason']} (in epoch {n}, {times} times without getting further)"
            record = record_of(journal, job, "failed", reason)
        else:
            record = TrialRecord.from_dict(dict(outcome["result"]))
        self.store.write(trial.key, record)
        self.records[trial.key] = record
        level = logging.INFO if record.status in ("completed", "early") else logging.WARNING
        LOG.log(level, "trial %s: %s %s", trial.key, record.status, record.reason)

    def _rank(self) -> None:
        """Rank the candidates, for each training size."""
        for n in self.study.data.n_train or (None,):
            keys = [t.key for t in self.study.trials if t.n_train == n]
            ranking = self._early_ranking([self.records[k] for k in keys if k in self.records])
            if ranking is not None:
                self.rankings[n] = ranking

    def _early_ranking(self, records: Sequence[TrialRecord], **options: int) -> Ranking | None:
        """Rank some records by their early epochs."""
        study = self.study
        observed = study.training.early_epochs
        return early_ranking(records, study.methods, observed, self.n_validation, **options)

    def _chosen(self) -> list[Trial]:
        """Return the trials of the best candidates by their early epochs, at the largest size."""
        largest, early = _largest(self.study), self.study.training.early_epochs
        trials = [t for t in self.study.trials if t.n_train == largest]
        # Methods that learn from finished curves must not choose others once the first are done.
        records = [_until(self.records[t.key], early) for t in trials if t.key in self.records]
        ranking = self._early_ranking(records, n_bootstrap=1)
        if ranking is None:
            return []
        choice = early_choice(ranking, records)
        if choice is None:
            return []
        top = self.study.finish.top or min(len(choice.chosen), UNSURE)
        best = ranking.best(ranking.rows[0].method, top)
        return [t for t in trials if t.candidate.name in best]

    def _best_model(self, choice: Choice | None) -> Path | None:
        """Copy the finished model of the first candidate named; None where it is not there."""
        accuracy = {}
        for trial in self.study.trials if choice else ():
            record = self.records.get(trial.key)
            named = choice is not None and trial.candidate.name == choice.chosen[0]
            if named and record is not None and record.status == "completed":
                accuracy[trial.key] = record.epochs[-1].val_accuracy
        if not accuracy:
            return None
        best = self.store.model_path(max(accuracy, key=lambda key: accuracy[key]))
        if not best.is_file():
            return None
        path = self.store.folder / "best.keras"
        with atomic(path) as temporary:
            shutil.copyfile(best, temporary)
        return path
