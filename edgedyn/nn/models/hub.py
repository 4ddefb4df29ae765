"""Image networks of KerasHub, by the name of a preset or from a folder that holds one."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import keras
from keras import layers as kl

HUB = "keras_hub:"  # what their names begin with
TOKENS = ("ViTBackbone", "DeiTBackbone")  # whose classifiers read the first position


class PresetNotFound(ValueError):
    """A preset is not in KerasHub's cache and could not be downloaded."""


def is_hub(name: Any) -> bool:
    """Tell a name of KerasHub's from others."""
    return isinstance(name, str) and name.startswith(HUB)


def known_preset(name: str) -> str:
    """Return what follows ``keras_hub:`` if there is such a preset or folder, or suggest others."""
    preset = name.removeprefix(HUB)
    if Path(preset).expanduser().is_dir():
        return str(Path(preset).expanduser())
    known = [key for kind in _kinds() for key in kind.presets]
    if preset in known or "://" in preset:  # or a place from where KerasHub downloads
        return preset
    close = get_close_matches(preset, known, n=3) or ["a folder with one"]
    raise ValueError(
        f"KerasHub has no image preset {preset!r}, and there is no such folder; did you mean "
        f"{' or '.join(close)}?"
    )


def hub_network(name: str, pretrained: bool, shape: Any, pool: type[kl.Layer]) -> keras.Model:
    """Build an image network with its preprocessing, from RGB in 0..255 to features.

    What its classifier would be given: of ViT and DeiT the first position, of other sequences the
    mean over positions, of feature maps what `pool` makes of them.
    """
    preset = known_preset(name)
    hub = _library()
    body = _loaded(hub.models.Backbone, preset, load_weights=pretrained)
    if not isinstance(body, _kinds()):
        raise ValueError(f"{preset!r} is a {type(body).__name__}, which is no image network.")
    inputs = keras.Input(shape, dtype="float32")
    sides = tuple(n for n in body.input_shape[1:3] if n is not None)
    x = inputs if sides in ((), tuple(shape[:2])) else kl.Resizing(*sides)(inputs)
    converter = _loaded(hub.layers.ImageConverter, preset)
    if (converter.scale, converter.offset) != (None, None):
        scale = 1.0 if converter.scale is None else converter.scale
        x = kl.Rescaling(scale, 0.0 if converter.offset is None else converter.offset)(x)
    x = body(x)
    if len(x.shape) == 4:
        x = pool()(x)
    elif type(body).__name__ in TOKENS and getattr(body, "use_class_token", True):
        x = x[:, 0]
    elif len(x.shape) == 3:
        x = kl.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, x, name=Path(preset).name.replace(":", "_"))


def _library() -> Any:
    """Return KerasHub, or say how to get it."""
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "networks of KerasHub need the package keras-hub: pip install 'edgedyn[hub]'."
        ) from error
    return keras_hub


def _kinds() -> tuple[Any, ...]:
    """Return the types of image networks, those that have a classifier."""
    models = _library().models
    tasks = [getattr(models, name) for name in dir(models) if name.endswith("ImageClassifier")]
    return tuple(kind for task in tasks if (kind := task.backbone_cls) is not None)


def _loaded(kind: Any, preset: str, **options: Any) -> Any:
    """Load a part of a preset; say it plainly where that cannot be downloaded or read."""
    try:
        return kind.from_preset(preset, **options)
    except Exception as error:  # the services it downloads from, and Keras, raise what they like
        what = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        raise PresetNotFound(
            f"KerasHub's preset {preset!r} could not be had ({type(error).__name__}: {what}); "
            f"download it elsewhere and give its folder, {HUB}FOLDER."
        ) from error
