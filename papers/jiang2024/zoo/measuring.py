"""What a study's own measures share: what is compiled for a model, compiled once."""


def once_a_model(make):
    """Return a function of a model that makes what belongs to it at the first call only.

    A trial measures one model after every epoch, and the next one in the same process another.
    """
    known = {}

    def of(model):
        if known.get("model") is not model:
            known.update(model=model, made=make(model))
        return known["made"]

    return of
