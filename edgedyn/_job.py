"""What a trial's process is given: plain values, typed, that travel as JSON."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DataSettings:
    """Which images, as `edgedyn.nn.load_dataset` takes them."""

    spec: str = ""
    image_size: int | None = None
    validation_size: int | float | None = None
    split: str = "stratified"


@dataclass(frozen=True)
class CandidateSettings:
    """What builds the network; files by their digests."""

    backbone: str | None = None
    file: str | None = None
    factory: str | None = None
    weights: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None


@dataclass(frozen=True)
class ProbeSettings:
    """The probe, as `edgedyn.nn.attach_probe` takes it."""

    units: tuple[int, ...] = (256, 128)
    dropout: float = 0.4
    batch_norm: str = "identity"
    momentum: float = 0.9
    frozen: bool = True
    initializer: str = "he_normal"


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is fine-tuned."""

    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adam"})
    learning_rate: float = 1e-3
    batch_size: int = 64
    batch_norm_momentum: float | None = None


@dataclass(frozen=True)
class WatchSettings:
    """How beta_eff is measured, as `edgedyn.nn.CapacitanceCallback` takes it; and what else."""

    n_samples: int = 1024
    scope: str = "probe"
    coupling: str = "direct"
    strength: str = "magnitude"
    nodes: str = "kernels"
    measures: str | None = None


@dataclass(frozen=True)
class Settings:
    """All that decides a trial's numbers, but its name, seed and number of epochs."""

    data: DataSettings = field(default_factory=DataSettings)
    candidate: CandidateSettings = field(default_factory=CandidateSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    capacitance: WatchSettings = field(default_factory=WatchSettings)


@dataclass(frozen=True)
class Job:
    """What a fresh process does for a study.

    Parameters
    ----------
    model, data : str
        Names of the candidate and of the task.
    seed : int
    n_train : int or None
    settings : Settings
    task : {"trial", "check", "survey", "rehearse"}
    folder : str
        The trial's; empty: nothing is kept.
    save : str
        Where the finished network goes.
    files : dict of str to str
        Paths of the candidate's files.
    target, early, last : int
        Epochs to come to, of the early stage, of the whole study.
    finish_probe : {"keep", "remove"}
    scores : tuple of str
        Training-free scores to take.
    threads : int
    command : str
    paths : tuple of str
        Where modules are sought.
    cwd : str
        Where relative paths start.
    functions, backbones, n_trains : tuple
        What "check" and "survey" seek and load.
    survey : dict
        What "survey" returned, for "rehearse".

    Examples
    --------
    >>> from edgedyn._job import Job
    >>> Job("vgg", "digits", 0, None).settings.probe.units
    (256, 128)
    """

    model: str
    data: str
    seed: int
    n_train: int | None
    settings: Settings = field(default_factory=Settings)
    task: str = "trial"
    folder: str = ""
    save: str = ""
    files: dict[str, str] = field(default_factory=dict)
    target: int = 0
    early: int = 0
    last: int = 0
    finish_probe: str = "keep"
    scores: tuple[str, ...] = ()
    threads: int = 1
    command: str = ""
    paths: tuple[str, ...] = ()
    cwd: str = "."
    functions: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    n_trains: tuple[int | None, ...] = (None,)
    survey: dict[str, Any] = field(default_factory=dict)
