"""How far a study has come, read from its journals."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from edgedyn.predict.rank import Ranking
from edgedyn.studies.early import early_ranking
from edgedyn.studies.journal import LINES, Journal
from edgedyn.studies.record import TrialRecord
from edgedyn.studies.store import Store
from edgedyn.studies.study import Study, Trial

LOOK = 2.0  # seconds between two readings of the journals
RANKING_SHARE = 0.05  # of the time: ranking thousands of records takes a second


@dataclass(frozen=True)
class Progress:
    """A study at a moment."""

    stage: str
    done: int  # trials of the stage
    failed: int  # of those done
    total: int  # trials of the stage
    running: tuple[tuple[str, int, int, int], ...]  # candidate, seed, epochs done and wanted
    fraction: float  # of the stage's epochs, done
    seconds_left: float  # NaN before the first has ended
    ranking: Ranking | None  # of what has been seen so far


class Watcher:
    """Reads the journals of the trials that have not ended, now and then."""

    def __init__(
        self,
        stage: str,
        study: Study,
        store: Store,
        records: Mapping[str, TrialRecord],
        due: Sequence[Trial],
        target: int,
        n_validation: int,
    ) -> None:
        self._stage, self._study, self._store, self._records = stage, study, store, records
        self._left = {trial.key: trial for trial in due}
        self._total, self._target, self._n_validation = len(due), target, n_validation
        self._began = time.perf_counter()
        self._next = self._next_ranking = 0.0
        self._ranked, self._failed = -1, 0
        self._ranking: Ranking | None = None
        self._last = Progress(stage, 0, 0, len(due), (), 0.0, nan, None)
        self._at_start: dict[str, int] = {}

    def ended(self, key: str) -> None:
        """Count a trial as done."""
        del self._left[key]
        self._failed += self._records[key].status == "failed"
        self._next = 0.0

    def look(self) -> Progress:
        """Return the state, at most two seconds old."""
        now = time.perf_counter()
        if now < self._next:
            return self._last
        running = self._running()
        done = self._total - len(self._left)
        if done != self._ranked and (now >= self._next_ranking or not self._left):
            self._ranked, self._ranking = done, self._current_ranking()
            took = time.perf_counter() - now
            self._next_ranking = now + took / RANKING_SHARE
        epochs = done * self._target + sum(n for _, n in running)
        # What earlier processes had trained says nothing of the speed of these.
        before = sum(self._at_start.values())
        whole = self._total * self._target
        speed = (epochs - before) / max(now - self._began, 1e-9)
        self._last = Progress(
            stage=self._stage,
            done=done,
            failed=self._failed,
            total=self._total,
            running=tuple((t.candidate.name, t.seed, n, self._target) for t, n in running),
            fraction=epochs / whole if whole else 1.0,
            seconds_left=(whole - epochs) / speed if speed > 0 else nan,
            ranking=self._ranking,
        )
        self._next = time.perf_counter() + LOOK
        return self._last

    def _running(self) -> list[tuple[Trial, int]]:
        """Return the trials at work and their epochs: those whose journal or log has grown."""
        found = []
        for key, trial in self._left.items():
            folder = self._store.trial_folder(key)
            if not folder.is_dir():
                continue
            n = len(Journal(folder).epochs) if (folder / LINES).exists() else 0
            self._at_start.setdefault(key, n)
            found.append((trial, n))
        return found

    def _current_ranking(self) -> Ranking | None:
        """Rank what has ended so far, at the largest training size."""
        study, largest = self._study, max(self._study.data.n_train, default=None)
        keys = [t.key for t in study.trials if t.n_train == largest]
        records = [self._records[key] for key in keys if key in self._records]
        observed = study.training.early_epochs
        return early_ranking(records, study.methods, observed, self._n_validation, n_bootstrap=1)


def describe(status: Progress) -> str:
    """Return one plain line.

    >>> describe(Progress("early", 3, 1, 6, (("vgg", 0, 2, 5),), 0.5, 90.0, None))
    'early: 3 of 6 trials done (1 failed); vgg seed 0 epoch 2/5; 1.5 min left'
    """
    parts = [f"{status.stage}: {status.done} of {status.total} trials done"]
    if status.failed:
        parts[0] += f" ({status.failed} failed)"
    parts += [f"{name} seed {seed} epoch {n}/{of}" for name, seed, n, of in status.running]
    if isfinite(status.seconds_left) and status.done < status.total:
        parts.append(f"{duration(status.seconds_left)} left")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Return a time that a person can read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
