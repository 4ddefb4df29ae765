"""beta_eff of the whole network after every epoch of the NAS study, and what it takes.

Named by the study's ``capacitance.measures = "papers.jiang2024.nas.measures:measures"``.
"""

from time import perf_counter

import numpy as np

from edgedyn.capacitance import DivergedError
from edgedyn.nn.data.sampling import stratified_indices
from edgedyn.nn.meter import CapacitanceMeter
from papers.jiang2024.nas.run import SAMPLES
from papers.jiang2024.zoo.measuring import once_a_model

_meter = once_a_model(lambda model: CapacitanceMeter(model, scope="network"))


def measures(model, x, y):
    """Return the numbers of one epoch.

    Parameters
    ----------
    model : keras.Model
        With the probe.
    x, y : ndarray
        The samples of beta_eff.

    Returns
    -------
    dict of str to float
        ``beta_network``, NaN where degenerate; ``network_seconds``, which in the first epoch
        holds the compilation.
    """
    began = perf_counter()
    meter = _meter(model)
    chosen = stratified_indices(y, SAMPLES, np.random.default_rng(0))
    try:
        value = meter.measure(*meter.check_data(x[chosen], y[chosen])).value
    except DivergedError:
        value = float("nan")
    return {"beta_network": value, "network_seconds": perf_counter() - began}
