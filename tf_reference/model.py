"""The workload's network in Keras, and what the TensorFlow engines share around it.

Importing this module imports TensorFlow; an engine does so in its `import` phase.
"""

from __future__ import annotations

import os
import time
from typing import Any

# Read when TensorFlow starts, hence before its import: no GPU is in the scope of the comparison,
# and its start-up notices would hide an engine's own words.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from harness.contract import Job, Layer, Skeleton, Unsupported, Workload

BUILDERS = {
    "conv2d": lambda layer: keras.layers.Conv2D(
        layer.filters,
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        activation=layer.activation,
        use_bias=layer.use_bias,
    ),
    "max_pooling2d": lambda layer: keras.layers.MaxPooling2D(
        layer.pool_size, strides=layer.strides, padding=layer.padding
    ),
    "average_pooling2d": lambda layer: keras.layers.AveragePooling2D(
        layer.pool_size, strides=layer.strides, padding=layer.padding
    ),
    "flatten": lambda layer: keras.layers.Flatten(),
    "dense": lambda layer: keras.layers.Dense(
        layer.units, activation=layer.activation, use_bias=layer.use_bias
    ),
    "dropout": lambda layer: keras.layers.Dropout(layer.rate),
    "activation": lambda layer: keras.layers.Activation(layer.activation),
}
# What the finished model's own layers are called in a report.
TYPES = {
    keras.layers.Conv2D: "conv2d",
    keras.layers.MaxPooling2D: "max_pooling2d",
    keras.layers.AveragePooling2D: "average_pooling2d",
    keras.layers.Flatten: "flatten",
    keras.layers.Dense: "dense",
    keras.layers.Dropout: "dropout",
    keras.layers.Activation: "activation",
}


class EpochReport(keras.callbacks.Callback):
    """Reports each epoch: its time, Keras' mean loss, and the images given to `fit`. Then the
    engine's weights may be kept."""

    def __init__(self, engine: Skeleton, examples: int) -> None:
        super().__init__()
        self._engine, self._examples = engine, examples

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the epoch's clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Append the epoch to the report."""
        seconds = time.perf_counter() - self._start
        loss = (logs or {}).get("loss", float("nan"))
        report = self._engine.report
        report.epoch(epoch + 1, seconds=seconds, loss=loss, examples=self._examples)
        self._engine.checkpoint(epoch + 1)


class StepRates(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of each step, as the harness has worked it out."""

    def __init__(self, rates: np.ndarray) -> None:
        self._rates = tf.constant(rates.ravel())

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of step number `step`, from 0."""
        return tf.gather(self._rates, step)

    def get_config(self) -> dict[str, Any]:
        """What Keras would save."""
        return {"rates": self._rates.numpy()}


def configure(job: Job) -> None:
    """Set threads, number type and seed. Must run before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(job.threads)
    keras.config.set_floatx(job.workload.training.dtype)
    keras.utils.set_random_seed(job.seed % 2**32)


def build(workload: Workload) -> keras.Sequential:
    """The workload's layers as a Keras model, with Keras' own starting weights.

    Raises: Unsupported naming the first layer that has no counterpart here.
    """
    model = keras.Sequential([keras.Input(workload.model.input_shape)])
    for index, layer in enumerate(workload.model.layers):
        model.add(_keras_layer(layer, index))
    return model


def optimizer(workload: Workload, rates: np.ndarray | None = None) -> keras.optimizers.Optimizer:
    """The workload's optimizer. Raises: Unsupported if Keras' form of it is not known here.

    Momentum, betas and the like are NumPy numbers because Keras (3.15) takes Python's through
    float32, in a float64 model too: 1 - 0.999 would be 1.3e-5 off, relatively.

    Args:
        rates: the learning rate of every step, instead of the workload's constant one.
    """
    training = workload.training
    rate = training.learning_rate if rates is None else StepRates(rates)
    momentum, beta_1, beta_2, rho, decay = (
        np.float64(getattr(training, name))
        for name in ("momentum", "beta_1", "beta_2", "rho", "weight_decay")
    )
    given = {"weight_decay": decay} if decay else {}
    if training.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum, training.nesterov, **given)
    if training.optimizer == "adam":
        return keras.optimizers.Adam(rate, beta_1, beta_2, training.epsilon, **given)
    if training.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(rate, rho, momentum, training.epsilon, **given)
    raise Unsupported(f"optimizer '{training.optimizer}'")


def load_images(path: str, dtype: str) -> np.ndarray:
    """Images scaled to [0, 1], in the workload's number type: (N, H, W, C)."""
    return np.load(path).astype(dtype) / np.asarray(255, dtype)


def read_weights(model: keras.Sequential, path: str) -> None:
    """Set the model's weights from a weight file (names: layer index, `kernel` or `bias`)."""
    with np.load(path, allow_pickle=False) as weights:
        for index, layer in enumerate(model.layers):
            names = [f"{index}.kernel", f"{index}.bias"][: len(layer.weights)]
            if layer.trainable_weights:
                layer.set_weights([weights[name] for name in names])


def write_weights(model: keras.Sequential, path: str) -> None:
    """Write the model's weights to a weight file."""
    weights = {}
    for index, layer in enumerate(model.layers):
        if layer.trainable_weights:
            parts = zip(("kernel", "bias"), layer.get_weights(), strict=False)
            weights.update({f"{index}.{part}": values for part, values in parts})
    np.savez(path, **weights)


def facts(model: keras.Sequential) -> dict[str, Any]:
    """What the model and TensorFlow themselves say, for the end of a report."""
    return {
        "parameters": model.count_params(),
        "layers": [TYPES[type(layer)] for layer in model.layers],
        "dtype": str(model.weights[0].dtype),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "versions": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _keras_layer(layer: Layer, index: int) -> keras.layers.Layer:
    if layer.type not in BUILDERS:
        raise Unsupported(f"layer {index} ('{layer.type}')")
    built = BUILDERS[layer.type](layer)
    built.name = f"layer{index}"  # what its operations are called in a profile
    return built
