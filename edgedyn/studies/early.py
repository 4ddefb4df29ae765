"""The ranking of candidates by their early epochs, as a study and its report have it."""

from collections.abc import Sequence

from edgedyn.predict.methods import method_named
from edgedyn.predict.rank import Ranking, rank
from edgedyn.studies.record import TrialRecord


def early_ranking(
    records: Sequence[TrialRecord],
    methods: Sequence[str],
    observed: int,
    n_validation: int | None,
    *,
    n_bootstrap: int = 1000,
) -> Ranking | None:
    """Rank records by their early epochs; None where none has so many.

    Only methods that some record can serve are asked: a training-free score that failed for all
    candidates is left out; where no method remains, the last value is asked.
    """
    if not any(r.n_epochs >= observed for r in records):
        return None
    scored = {name for r in records for name in r.scores}
    served = [name for name in methods if method_named(name).kind != "score" or name in scored]
    return rank(
        records,
        served or ["last_value"],
        observed=observed,
        n_validation=n_validation or None,
        n_bootstrap=n_bootstrap,
    )
