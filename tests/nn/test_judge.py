"""How a trial judges its model: as Keras' own passes do, but sample by sample."""

import keras
import numpy as np
import pytest
from dataset_files import folder_of

from edgedyn import nn
from edgedyn.nn.training.finetune import Judge


def compiled(shape, n_classes):
    model = keras.Sequential(
        [
            keras.layers.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer="random_normal"),
            keras.layers.Flatten(),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(params=["arrays", "files"])
def data(request, tmp_path):
    if request.param == "arrays":
        return nn.load_dataset("digits", n_train=50)
    folder_of(tmp_path / "images", ["cat", "dog", "eel"], n=40)
    return nn.load_dataset(f"folder:{tmp_path / 'images'}", image_size=12)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 10_000])
def test_judged_as_by_keras(data, batch_size):
    split = data.validation.first(5) if batch_size == 1 else data.validation
    keras.utils.set_random_seed(0)
    model = compiled(data.image_shape, data.n_classes)
    correct, probabilities = Judge(split, batch_size)(model)
    batches = split.batches(batch_size)
    np.testing.assert_allclose(probabilities, model.predict(batches, verbose=0), rtol=1e-5)
    assert correct.mean() == pytest.approx(
        model.evaluate(batches, verbose=0, return_dict=True)["accuracy"], abs=1e-6
    )
    assert np.array_equal(correct, probabilities.argmax(axis=1) == split.y)


def test_images_are_those_of_the_batches(data):
    given = [np.asarray(images) for images in data.test.images(9)]
    batches = [np.asarray(images) for images, _ in data.test.batches(9)]
    assert [a.shape for a in given] == [a.shape for a in batches]
    for ours, theirs in zip(given, batches, strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


def test_nothing_is_right_where_the_output_is_nan(data):
    model = compiled(data.image_shape, data.n_classes)
    model.layers[-1].set_weights([np.full_like(w, np.nan) for w in model.layers[-1].get_weights()])
    correct, _ = Judge(data.validation, 64)(model)
    assert not correct.any()


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_sizes_of_batches_are_checked(data, size):
    with pytest.raises((TypeError, ValueError), match="batch_size"):
        list(data.test.images(size))
