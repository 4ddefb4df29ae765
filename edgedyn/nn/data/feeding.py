"""Batches of a split for ``fit``: a ``tf.data`` pipeline under TensorFlow, else Keras' own kind."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from edgedyn._array import Array
from edgedyn.nn.data.images import read_image

READERS = 8  # files that are read at a time
Change = Callable[[Any], Any]


class Batches(keras.utils.PyDataset):
    """Batches of images, float32 in 0..255, and int64 labels, in an order that is asked for anew.

    `order` returns it, for each batch; `change` is applied to each batch's images; `split` has
    `source`, `y` and `size` as `edgedyn.nn.data.datasets.Split`. Nothing is read ahead, since the
    order of the next epoch is not known before it begins.
    """

    def __init__(
        self, split: Any, batch_size: int, order: Callable[[], Array], change: Change | None = None
    ) -> None:
        super().__init__(workers=0)
        self.split, self.batch_size, self.order, self.change = split, batch_size, order, change

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Array]]:
        yield from (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> tuple[Any, Array]:
        rows = self.order()[k * self.batch_size : (k + 1) * self.batch_size]
        images = self._images(rows)
        if self.change is not None:
            images = self.change(keras.ops.convert_to_tensor(images))
        return images, self.split.y[rows]

    def _images(self, rows: Array) -> Array:
        """Return images, read where they are files."""
        split = self.split
        if isinstance(split.source, np.ndarray):
            return split.source[rows].astype(np.float32)
        with ThreadPoolExecutor(READERS) as pool:
            found = pool.map(lambda k: read_image(split.source[k], split.size), rows)
            return np.stack(list(found)).astype(np.float32)


class ShuffledBatches(Batches):
    """Batches in the order of the split, or in one that is drawn anew at the end of each epoch."""

    def __init__(self, split: Any, batch_size: int, seed: int | None) -> None:
        super().__init__(split, batch_size, lambda: self.rows)
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.rows = np.arange(len(split))
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw the next order."""
        if self.rng is not None:
            self.rows = self.rng.permutation(len(self.rows))


def pipeline(split: Any, order: Any, batch_size: int) -> Any:
    """Return a ``tf.data.Dataset`` of batches in the order of another one, of indices."""
    import tensorflow as tf

    if isinstance(split.source, np.ndarray):
        with tf.device("CPU"):  # where pipelines run: no copy on an accelerator
            images, labels = tf.constant(split.source), tf.constant(split.y)
        pairs = order.batch(batch_size).map(
            lambda k: (tf.cast(tf.gather(images, k), tf.float32), tf.gather(labels, k))
        )
        return pairs.prefetch(tf.data.AUTOTUNE)

    def read(k: Any) -> Any:
        return read_image(split.source[int(k)], split.size).astype(np.float32)

    def load(k: Any) -> Any:
        image = tf.numpy_function(read, [k], tf.float32)
        image.set_shape((*split.size, 3))
        return image, tf.constant(split.y)[k]

    pairs = order.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return pairs.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def in_tensorflow() -> bool:
    """Tell whether Keras computes with TensorFlow, whose pipelines are its quickest."""
    return keras.backend.backend() == "tensorflow"
