"""What passes from a study's folder to its report; NaN where something is not known."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedyn.predict.choice import Choice
    from edgedyn.predict.forecast import Forecast
    from edgedyn.predict.rank_quality import Judgement


@dataclass(frozen=True)
class LineFit:
    """The paper's line through one candidate's early epochs, and its band."""

    value: float  # at beta_eff = 0, as std
    std: float
    slope: float
    first: int  # the window's first epoch, counted from 1
    n: int  # epochs in the window
    status: str  # that of the regressor
    reach: float  # how far the line is extended to 0, in units of the range of the window's values
    grid: list[float]
    mean: list[float]
    band: list[float]  # standard deviations of the mean


@dataclass(frozen=True)
class RunCurves:
    """One run's values after each epoch."""

    seed: int
    accuracy: list[float]
    beta: list[float]


@dataclass(frozen=True)
class CandidateCurves:
    """One candidate's curves and fit with one training size."""

    model: str
    # One value an epoch: means over the runs that were observed long enough.
    accuracy: list[float]
    beta: list[float]
    statuses: list[str]
    runs: list[RunCurves]  # single runs, where there are several
    last_value: float  # that was observed
    # At the end; NaN unless every run that was observed long enough was completed.
    validation: float
    test: float
    n_runs: int
    n_whole: int  # observed long enough
    n_completed: int  # trained to the end
    fit: LineFit | None


@dataclass(frozen=True)
class MethodValue:
    """What one method predicts of one candidate."""

    prediction: float
    std: float
    status: str


@dataclass(frozen=True)
class RankingRow:
    """One candidate's row of a ranking."""

    curves: CandidateCurves
    # By the method that chooses; see `edgedyn.predict.rank.RankedModel`.
    rank: float
    prediction: float
    std: float
    status: str
    by_method: Mapping[str, MethodValue]
    forecast: "Forecast"  # of the final accuracy, whichever method chooses
    n_epochs: int  # of the run that has fewest
    n_planned: int  # runs that the study asks for
    failed: list[str]  # "failed" or "diverged", one a run that stopped so
    reasons: list[str]  # why, each once

    @property
    def model(self) -> str:
        """The candidate's name."""
        return self.curves.model


@dataclass(frozen=True)
class SizeSummary:
    """The ranking with one training size, what it names, and how well methods rank."""

    n_train: int | None
    rows: list[RankingRow]
    choice: "Choice | None"
    methods: "list[Judgement]"


@dataclass(frozen=True)
class CandidateCost:
    """What one candidate took, over all its runs; `ratio` is measuring over training."""

    model: str
    runs: int
    epochs: int
    parameters: float
    train_seconds: float
    beta_seconds: float
    ratio: float
    peak_memory_mib: float


@dataclass(frozen=True)
class Problem:
    """What went wrong with a run, or why a prediction should not be trusted."""

    # Of a run "missing", "failed", "diverged", "degenerate" or "vanishing"; of a prediction
    # "outside", "status", "forecast", "flat", "slope" or "far".
    kind: str
    model: str
    n_train: int | None
    seed: int | None = None  # None of a prediction
    reason: str = ""  # why a run stopped
    status: str = ""  # the method's, or that of degenerate values
    epochs: tuple[int, ...] = ()  # those before a run stopped, or those with degenerate values
    value: float = nan  # the prediction that lies outside, or the slope
    method: str = ""  # whose prediction it is, its label


@dataclass(frozen=True)
class DataUsed:
    """The data of some trials: which, and how many samples."""

    n_train: int | None
    fingerprint: str
    seeds: list[int]
    train: int | None
    validation: int | None
    test: int | None
    image_shape: list[int] | None


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from: versions, machines, data, settings and what to run again."""

    command: str
    environments: list[Mapping[str, Any]]  # as the folder holds them: versions and machine
    seeds: list[int]
    data: list[DataUsed]
    settings: Mapping[str, Any]  # a demo's
    study: str  # the study file; empty where it is not known
    output: str  # the folder that it names
    seed: int | None  # a demo's


@dataclass(frozen=True)
class StudySummary:
    """Everything a report says of a study or a demo."""

    kind: str  # "study" or "demo"
    folder: str
    data: str
    date: str
    observed: int  # early epochs
    epochs: int  # of a whole run
    method: str  # which chooses
    scope: str
    over: str  # how methods were judged, "mean" or "run"; see `edgedyn.rank`
    head_after: int  # the epoch after which an ordinary head takes the probe's place; 0 for none
    rungs: list[int]  # epochs after which a race left candidates behind; empty without a race
    rankings: list[SizeSummary]  # one a training size, the largest first
    cost: list[CandidateCost]
    problems: list[Problem]
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        return asdict(self)
