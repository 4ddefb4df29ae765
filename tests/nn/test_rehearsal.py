"""What a dry run counts, times, and does without."""

import urllib.request
from dataclasses import replace
from math import isnan, nan, prod
from operator import attrgetter
from urllib.error import URLError

import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from dataset_files import folder_of, svhn  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn._job import CandidateSettings, DataSettings, Job, Settings  # noqa: E402
from edgedyn.nn.models import small
from edgedyn.nn.models.flops import work  # noqa: E402
from edgedyn.nn.training import rehearsal
from edgedyn.nn.training import trial as trials  # noqa: E402

pytestmark = pytest.mark.tensorflow


# Counts -----------------------------------------------------------------------------------------


def tensorflows_count(model):
    """Count the products in the operations of TensorFlow's graph, by their shapes there."""
    call = tf.function(lambda x: model(x, training=False))
    graph = call.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]))).graph
    total = 0
    for operation in graph.get_operations():
        shapes = [x.shape.as_list() for x in operation.inputs]
        if operation.type == "MatMul":
            total += 2 * prod(operation.outputs[0].shape) * shapes[0][1]
        elif operation.type == "Conv2D":
            total += 2 * prod(operation.outputs[0].shape) * prod(shapes[1][:3])
        elif operation.type == "DepthwiseConv2dNative":
            total += 2 * prod(operation.outputs[0].shape) * prod(shapes[1][:2])
        elif operation.type == "Conv2DBackpropInput":  # a transposed convolution
            total += 2 * prod(shapes[2]) * prod(shapes[1][:3])
    return total


def mixed():
    """Return a network with the other kinds of layers, one model inside another."""
    inputs = keras.Input((12, 12, 4))
    x = kl.SeparableConv2D(6, 3, padding="same")(inputs)
    x = kl.Conv2D(8, 3, strides=2)(x)
    x = kl.Conv2DTranspose(4, 3, strides=2)(x)
    inner = keras.Input(x.shape[1:])
    x = keras.Model(inner, kl.Conv2D(2, 5)(inner))(x)
    return keras.Model(inputs, kl.Dense(3)(kl.Flatten()(x)))


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize("name", ["mixed", "mlp", "cnn", "MobileNetV2"])
def test_products_are_those_that_tensorflow_counts(name):
    if name == "mixed":
        model = mixed()
    elif name == "MobileNetV2":
        model = nn.backbone(name, weights=None, input_shape=(32, 32, 3))
    else:
        model = getattr(small, name)((16, 16, 3))
    assert work(model).flops == tensorflows_count(model)


def test_groups_see_a_part_of_the_channels_each():
    inputs = keras.Input((12, 12, 4))
    model = keras.Model(inputs, kl.Conv2D(8, 3, groups=2)(inputs))
    assert work(model).flops == 2 * (10 * 10 * 8) * (3 * 3 * 2)


def test_a_network_for_images_of_any_size_has_no_count():
    assert isnan(work(nn.backbone("MobileNet", weights=None, alpha=0.25)).flops)


def test_the_rehearsed_batch_is_cut_where_a_step_would_take_long():
    for flops in (nan, 0.0, 1e6):
        assert rehearsal._effort(flops, 64) == 64
    for flops in (1e8, 1e9, 1e10, 1e12):
        batch = rehearsal._effort(flops, 64)
        assert 1 <= batch <= 64
        assert 3 * flops * batch <= rehearsal.STEP_FLOPS or batch == 1
    assert rehearsal._effort(1e12, 64) == 1


# Data that are not here -------------------------------------------------------------------------


def job(spec, **data):
    """Return what `survey` needs to know."""
    candidate = CandidateSettings(image_size=16)
    settings = Settings(data=DataSettings(spec, **data), candidate=candidate)
    return Job("any", spec, 0, None, settings, n_trains=(None, 12))


counts = attrgetter("n_train", "n_validation", "n_classes", "side", "data_mib")


@pytest.mark.parametrize("size", [None, 0.25, 9])
def test_what_is_assumed_of_arrays_is_what_loading_finds(tmp_path, monkeypatch, size):
    svhn(tmp_path, n=40)
    monkeypatch.setitem(rehearsal.KNOWN, "svhn", rehearsal.Known(40, 40, None, 32, 10))
    here = rehearsal.survey(job(f"svhn:{tmp_path}", validation_size=size))
    away = rehearsal.survey(job(f"svhn:{tmp_path / 'absent'}", validation_size=size))
    assert counts(here) == counts(away)
    assert here.missing == "" and here.load_seconds > 0
    assert "there is no file" in away.missing and "40 training images" in away.missing


def test_what_is_assumed_of_files_is_what_loading_finds(tmp_path, monkeypatch):
    for part, n in (("train", 7), ("valid", 2), ("test", 3)):
        folder_of(tmp_path / "birds" / part, ["owl", "tit"], n=n)
    known = rehearsal.Known(14, 6, 4, 224, 2, files=True)
    monkeypatch.setitem(rehearsal.KNOWN, "birds", known)
    here = rehearsal.survey(job(f"birds:{tmp_path / 'birds'}"))
    away = rehearsal.survey(job(f"birds:{tmp_path / 'absent'}"))
    assert counts(here) == counts(away)
    assert here.read_seconds > 0 and here.n_train == (14, 12)
    with pytest.raises(ValueError, match="validation part of its own"):
        rehearsal.survey(job("birds:absent", validation_size=3))


def test_data_that_nothing_is_known_of_are_refused(tmp_path):
    for spec in (f"npz:{tmp_path / 'absent.npz'}", f"folder:{tmp_path / 'absent'}"):
        with pytest.raises(ValueError, match="there is no"):
            rehearsal.survey(job(spec))
    with pytest.raises(ValueError, match=r"n_train must be in 10\.\.58257; got 60000"):
        rehearsal.survey(replace(job("svhn:absent"), n_trains=(60_000,)))


def test_damaged_data_are_refused_as_ever(tmp_path):
    svhn(tmp_path, n=40)
    (tmp_path / "test_32x32.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="could not be read"):
        rehearsal.survey(job(f"svhn:{tmp_path}"))


def test_names_are_sought_all_the_same():
    with pytest.raises(ValueError, match="there is no backbone 'VGG61'"):
        rehearsal.survey(replace(job("svhn:absent"), backbones=("VGG61",)))


def test_nothing_is_downloaded(monkeypatch, tmp_path):
    with rehearsal.no_downloads(), pytest.raises(URLError, match="nothing is downloaded"):
        urllib.request.urlopen("http://127.0.0.1:9/")
    asked = []
    monkeypatch.setattr(trials, "dataset", lambda job: asked.append(job) or fails())

    def fails():
        return urllib.request.urlopen("http://127.0.0.1:9/")

    with pytest.raises(URLError, match="nothing is downloaded"):
        rehearsal.survey(job("cifar10"))
    assert len(asked) == 1
