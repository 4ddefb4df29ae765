"""The probe's degrees by closed form against the same by automatic differentiation."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgedyn._array import Array
from edgedyn.capacitance import LayerDegrees
from edgedyn.nn.meter import CapacitanceMeter

TOLERANCES = {"float32": 1e-4, "float64": 1e-10}


@dataclass(frozen=True)
class CrossCheck:
    """How far two independent routes to the probe's degrees lie apart."""

    closed_form: float  # beta_eff by either route; NaN where it is degenerate
    autodiff: float
    in_degree: float  # largest difference of a degree, in units of the largest degree
    out_degree: float
    tolerance: float
    passed: bool  # the degrees agree within it, and the values within it over their conditioning

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain Python values."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = "agree" if self.passed else "DISAGREE"
        return (
            f"closed form {self.closed_form:.8g} and automatic differentiation "
            f"{self.autodiff:.8g} {verdict}: degrees differ by at most {self.in_degree:.1e} (in) "
            f"and {self.out_degree:.1e} (out); tolerance {self.tolerance:g}"
        )


def cross_check(meter: CapacitanceMeter, features: Array, targets: Array) -> CrossCheck:
    """Compute a probe's degrees twice: in closed form, and by automatic differentiation.

    The second route differentiates the Keras layers themselves: the direct coupling by two sweeps
    (`edgedyn.nn.graph.sweeps`), the full one by Hessian-vector products. Features and targets are
    from the meter's `features` and `check_data`. ValueError for another scope than the probe's, or
    the strength "absolute", which needs every entry of P.
    """
    if meter.scope != "probe" or meter.strength == "absolute":
        raise ValueError(
            "the check compares probe-scope magnitude or signed strengths; got "
            f"scope={meter.scope!r}, strength={meter.strength!r}."
        )
    accumulator = meter.sums_of_features(features, targets)
    closed = accumulator.capacitance()
    other, theirs = meter.by_differentiation(features, targets)
    ours = accumulator.degrees()
    apart = _apart(ours, theirs)
    tolerance = TOLERANCES[meter.graph.dtype]
    rtol = tolerance / max(closed.conditioning, tolerance)
    same = bool(np.isclose(closed.value, other.value, rtol=rtol, atol=0, equal_nan=True))
    passed = same and max(apart) <= tolerance
    return CrossCheck(closed.value, other.value, *apart, tolerance, passed)


def _apart(ours: list[LayerDegrees], theirs: list[LayerDegrees]) -> tuple[float, float]:
    """Return the largest difference of in- and of out-degrees, in units of the largest degree."""
    # Keras holds dense kernels as (inputs, outputs), the closed form as (outputs, inputs).
    pairs = [
        [
            (own, other.T)
            for a, b in zip(ours, theirs, strict=True)
            for own, other in zip(getattr(a, way), getattr(b, way), strict=True)
        ]
        for way in ("in_degree", "out_degree")
    ]
    # Of either kind and all layers, since some vanish: signed in-degrees in front of a softmax.
    scale = max(float(np.abs(own).max()) for both in pairs for own, _ in both) or 1.0
    into, out_of = (max(float(np.abs(a - b).max()) for a, b in both) / scale for both in pairs)
    return into, out_of
