"""The reduction of Gao, Barzel and Barabasi: any network and dynamics in one dimension."""

from edgedyn.reduction.curve import CriticalPoint, ResilienceCurve, resilience_curve, steady_points
from edgedyn.reduction.field import VectorField
from edgedyn.reduction.files import projection, read_network
from edgedyn.reduction.named import gene_regulation, linear_diffusion, mutualistic, neuronal, sis
from edgedyn.reduction.operator import Reduction, reduce, reduce_csr
from edgedyn.reduction.perturb import (
    PerturbationRecord,
    PerturbationStudy,
    perturb,
    remove_links,
    remove_nodes,
    weaken,
)
from edgedyn.reduction.solve import (
    SteadyState,
    TimeCourse,
    steady_state,
    steady_state_1d,
    time_course,
)
from edgedyn.reduction.spectral import SpectralReduction, spectral_reduce
from edgedyn.reduction.systems import System

__all__ = [
    "CriticalPoint",
    "PerturbationRecord",
    "PerturbationStudy",
    "Reduction",
    "ResilienceCurve",
    "SpectralReduction",
    "SteadyState",
    "System",
    "TimeCourse",
    "VectorField",
    "gene_regulation",
    "linear_diffusion",
    "mutualistic",
    "neuronal",
    "perturb",
    "projection",
    "read_network",
    "reduce",
    "reduce_csr",
    "remove_links",
    "remove_nodes",
    "resilience_curve",
    "sis",
    "spectral_reduce",
    "steady_points",
    "steady_state",
    "steady_state_1d",
    "time_course",
    "weaken",
]
