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
    """The paper's line through one candidate's early epochs, and its band.

    Parameters
    ----------
    value, std, slope : float
        The line at beta_eff = 0; its slope.
    first, n : int
        The epoch at which the window begins, counted from 1; epochs in the window.
    status : {"ok", "flat"}
    reach : float
        How far beyond the window's values, in units of their range, the line is extended to 0.
    grid, mean, band : list of float
        The line, and the standard deviation of its mean.
    """

    value: float
    std: float
    slope: float
    first: int
    n: int
    status: str
    reach: float
    grid: list[float]
    mean: list[float]
    band: list[float]


@dataclass(frozen=True)
class RunCurves:
    """One run's values after each epoch."""

    seed: int
    accuracy: list[float]
    beta: list[float]


@dataclass(frozen=True)
class CandidateCurves:
    """One candidate's curves and fit with one training size.

    Parameters
    ----------
    accuracy, beta, statuses : list
        One value an epoch; means over the runs that were observed long enough.
    runs : list of RunCurves
        Single runs, where there are several.
    last_value, validation, test : float
        The last accuracy that was observed; those at the end, NaN unless every run that was
        observed long enough was completed.
    n_runs, n_whole, n_completed : int
        Runs; those observed long enough; those trained to the end.
    """

    model: str
    accuracy: list[float]
    beta: list[float]
    statuses: list[str]
    runs: list[RunCurves]
    last_value: float
    validation: float
    test: float
    n_runs: int
    n_whole: int
    n_completed: int
    fit: LineFit | None


@dataclass(frozen=True)
class MethodValue:
    """What one method predicts of one candidate."""

    prediction: float
    std: float
    status: str


@dataclass(frozen=True)
class RankingRow:
    """One candidate's row of a ranking.

    Parameters
    ----------
    rank, prediction, std, status
        By the method that chooses; see `edgedyn.predict.rank.RankedModel`.
    forecast : Forecast
        Of the final accuracy, whichever method chooses.
    n_epochs, n_planned : int
        Epochs of the run that has fewest; runs that the study asks for.
    failed, reasons : list of str
        "failed" or "diverged", one a run that stopped so; why, each once.
    """

    curves: CandidateCurves
    rank: float
    prediction: float
    std: float
    status: str
    by_method: Mapping[str, MethodValue]
    forecast: "Forecast"
    n_epochs: int
    n_planned: int
    failed: list[str]
    reasons: list[str]

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
    """What went wrong with a run, or why a prediction should not be trusted.

    Parameters
    ----------
    kind : str
        Of a run: "missing", "failed", "diverged", "degenerate"; of a prediction: "outside",
        "status", "forecast", "flat", "slope".
    seed : int or None
        None of a prediction.
    reason, status : str
        Why a run stopped; the method's status, or that of degenerate values.
    epochs : tuple of int
        Those that a run had before it stopped, or those with degenerate values.
    value : float
        The prediction that lies outside, or the slope.
    method : str
        Whose prediction it is, its label.
    """

    kind: str
    model: str
    n_train: int | None
    seed: int | None = None
    reason: str = ""
    status: str = ""
    epochs: tuple[int, ...] = ()
    value: float = nan
    method: str = ""


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
    """Where the numbers come from: versions, machines, data, settings and what to run again.

    Parameters
    ----------
    environments : list of mapping
        As the folder holds them: versions and machine.
    settings, seed : mapping, int or None
        A demo's.
    study, output : str
        The study file, and the folder it names; empty where they are not known.
    """

    command: str
    environments: list[Mapping[str, Any]]
    seeds: list[int]
    data: list[DataUsed]
    settings: Mapping[str, Any]
    study: str
    output: str
    seed: int | None


@dataclass(frozen=True)
class StudySummary:
    """Everything a report says of a study or a demo.

    Parameters
    ----------
    kind : {"study", "demo"}
    observed, epochs : int
        Early epochs, and those of a whole run.
    method : str
        Which chooses.
    scope : {"probe", "network"}
    over : {"mean", "run"}
        How methods were judged; see `edgedyn.rank`.
    head_after : int
        The epoch after which an ordinary head takes the probe's place; 0 where none does.
    rungs : list of int
        Epochs after which a race left candidates behind; empty without a race.
    rankings : list of SizeSummary
        One a training size, the largest first.
    problems : list of Problem
        What went wrong or should not be trusted.
    """

    kind: str
    folder: str
    data: str
    date: str
    observed: int
    epochs: int
    method: str
    scope: str
    over: str
    head_after: int
    rungs: list[int]
    rankings: list[SizeSummary]
    cost: list[CandidateCost]
    problems: list[Problem]
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        return asdict(self)
