"""Candidates for studies, good and bad: built by the trials' processes, which import this."""

import os
import signal
import time

import keras
import numpy as np
from keras import layers as kl


def good(input_shape=(8, 8, 3), units=8):
    """Return a perceptron."""
    inputs = keras.Input(input_shape)
    x = kl.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, kl.Dense(units, activation="relu")(kl.Flatten()(x)))


def classifier(input_shape=(8, 8, 3)):
    """Return a perceptron with a head of its own and batch norm."""
    inputs = keras.Input(input_shape)
    x = kl.Dense(8, activation="relu")(kl.Flatten()(kl.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, kl.Dense(4, activation="softmax")(kl.BatchNormalization()(x)))


def raises():
    """Fail to build."""
    raise RuntimeError("no such\nlayer [bold]here[/bold]")


def diverges(input_shape=(8, 8, 3)):
    """Return a network whose loss is infinite."""
    inputs = keras.Input(input_shape)
    overflow = keras.regularizers.L2(3e38)
    x = kl.Dense(8, activation="relu", activity_regularizer=overflow)(kl.Flatten()(inputs))
    return keras.Model(inputs, x)


def too_large():
    """Ask for more memory than there is."""
    return np.empty(2**46)


def killed():
    """End as the kernel ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def measured(model, x, y):
    """Return a number of one's own."""
    assert model.output_shape[-1] == 10 and len(x) == len(y)
    return {"seen": len(x)}


def slow(input_shape=(8, 8, 3), seconds=0.15):
    """Return a perceptron that takes its time at every step, with dropout of its own."""
    inputs = keras.Input(input_shape)
    x = Slow(seconds)(kl.Flatten()(kl.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, kl.Dense(8, activation="relu")(kl.Dropout(0.2, seed=1)(x)))


class Slow(kl.Layer):
    """Wait, then pass on."""

    def __init__(self, seconds, **options):
        super().__init__(**options)
        self.seconds = seconds

    def call(self, x):
        import tensorflow as tf

        def wait(values):
            time.sleep(self.seconds)
            return values

        y = tf.numpy_function(wait, [tf.stop_gradient(x)], x.dtype)
        y.set_shape(x.shape)
        return x + 0.0 * y

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "seconds": self.seconds}


def subclassed():
    """Return a model that is no graph of layers."""

    class Own(keras.Model):
        def call(self, x):
            return x

    return Own()


def grey(input_shape=(8, 8, 1), channels=1):
    """Return a perceptron for images of one channel, or of more."""
    inputs = keras.Input((*input_shape[:2], channels))
    x = kl.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, kl.Dense(8, activation="relu")(kl.Flatten()(x)))
