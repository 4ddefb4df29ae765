"""What a trial's process is given and what it tells: plain values, typed, that travel as JSON."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

TEXT, FUNCTION = r"\S", r"^[\w.]+:\w+\Z"
Text = Annotated[str, Meta(pattern=TEXT)]
Function = Annotated[str, Meta(pattern=FUNCTION)]
Positive = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]
Augmentation = Literal["flip", "shift", "rotation", "zoom", "contrast", "brightness"]
Split = Literal["stratified", "ordered"]  # as edgedyn.nn.data.datasets has them


@dataclass(frozen=True)
class DataSettings:
    """Which images, as `edgedyn.nn.load_dataset` takes them."""

    spec: str = ""
    image_size: int | None = None
    validation_size: int | float | None = None
    split: Split = "stratified"


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

    units: tuple[Positive, ...] = (256, 128)
    dropout: Share = 0.4
    batch_norm: Literal["identity", "statistics", "none"] = "identity"
    momentum: Share = 0.9
    frozen: bool = True
    initializer: Text = "he_normal"


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is fine-tuned."""

    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adam"})
    learning_rate: Annotated[float, Meta(gt=0)] = 1e-3
    batch_size: Positive = 64
    batch_norm_momentum: Annotated[float, Meta(ge=0)] | None = None
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    weight_decay: Annotated[float, Meta(ge=0)] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    augmentation: tuple[Augmentation, ...] = ()
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"


@dataclass(frozen=True)
class WatchSettings:
    """How beta_eff is measured, as `edgedyn.nn.CapacitanceCallback` takes it; and what else."""

    n_samples: Positive = 1024
    scope: Literal["probe", "network"] = "probe"
    coupling: Literal["direct", "full"] = "direct"
    strength: Literal["magnitude", "absolute", "signed"] = "magnitude"
    nodes: Literal["kernels", "all"] = "kernels"
    measures: Function | None = None


@dataclass(frozen=True)
class Settings:
    """All that decides a trial's numbers, but its name, seed and number of epochs."""

    data: DataSettings = field(default_factory=DataSettings)
    candidate: CandidateSettings = field(default_factory=CandidateSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    capacitance: WatchSettings = field(default_factory=WatchSettings)


@dataclass(frozen=True)
class Survey:
    """What a study's data hold, for every training size, and what they take.

    `read_seconds` is that of one image that is a file; `missing` says what is not here.
    """

    n_train: tuple[int, ...]
    n_validation: int
    n_classes: int
    side: tuple[int, int]
    load_seconds: float = 0.0
    read_seconds: float = 0.0
    data_mib: float = 0.0
    missing: str = ""


@dataclass(frozen=True)
class Rehearsal:
    """What a few steps of a candidate took; `missing` says what is not here."""

    train_seconds: float  # of one image, as the next
    validation_seconds: float
    watch_seconds: float  # what is measured after an epoch
    start_seconds: float  # loading, building and compiling
    memory_mib: float
    parameters: int
    flops: float  # of one image in inference
    layers: int
    missing: str = ""


@dataclass(frozen=True)
class Job:
    """What a fresh process does for a study."""

    model: str  # name of the candidate
    data: str  # name of the task
    seed: int
    n_train: int | None
    settings: Settings = field(default_factory=Settings)
    task: str = "trial"  # or "check", "check data", "survey", "rehearse"
    folder: str = ""  # the trial's; empty: nothing is kept
    save: str = ""  # where the finished network goes
    cache: str = ""  # what is known of image files; empty: nothing is kept
    files: dict[str, str] = field(default_factory=dict)  # paths of the candidate's files
    target: int = 0  # epochs to come to
    early: int = 0  # epochs of the early stage
    last: int = 0  # epochs of the whole study
    finish_probe: str = "keep"  # or "remove"
    patience: int | None = None  # the finish ends after so many epochs without a better accuracy
    scores: tuple[str, ...] = ()  # training-free scores to take
    threads: int = 1
    timeout: float | None = None  # seconds without the end of an epoch
    command: str = ""
    paths: tuple[str, ...] = ()  # where modules are sought
    cwd: str = "."  # where relative paths start
    functions: tuple[str, ...] = ()  # what "check" and "survey" seek and load, and the next two
    backbones: tuple[str, ...] = ()
    n_trains: tuple[int | None, ...] = (None,)
    survey: Survey | None = None  # what "survey" found, for "rehearse"
