"""Every layer against Keras: values, and gradients by inputs and weights, in float32."""

import itertools

import numpy as np
import pytest

import myad
from myad import vjp

pytestmark = pytest.mark.tensorflow
LIMIT = 1e-5  # of the largest number compared; float32 resolves 6e-8, sums of 1,000 terms 1e-6

SIZES = [(7, 9), (8, 8), (9, 6), (11, 7)]
KERNELS = [  # kernel_size, strides, dilation_rate
    (1, 1, 1),
    (2, 1, 1),
    (3, 1, 1),
    ((3, 2), 2, 1),
    (3, 3, 1),
    (5, (2, 2), 1),
    (2, 1, 2),
    (3, 1, (2, 2)),
]
POOLS = [(2, None), (3, None), (2, 1), (3, 2), ((2, 3), (2, 1)), (1, 2)]
PADDINGS = ["valid", "same"]


def conv_cases():
    for n, (c, padding, kernel) in enumerate(
        itertools.product(range(1, 6), PADDINGS, enumerate(KERNELS))
    ):
        i, (size, strides, dilation) = kernel
        filters, batch, hw = (1, 2, 4, 3)[n % 4], (1, 3)[(n // 3) % 2], SIZES[(n + i) % 4]
        settings = {"strides": strides, "dilation_rate": dilation, "padding": padding}
        settings["use_bias"] = n % 5 != 0
        settings["activation"] = (None, "relu", "tanh")[n % 3]
        yield pytest.param((batch, *hw, c), filters, size, settings, id=f"{n}-{padding}-c{c}")


def pool_cases():
    for n, (kind, padding, (size, strides), hw) in enumerate(
        itertools.product(["max", "average"], PADDINGS, POOLS, SIZES[:2])
    ):
        shape = ((1, 2)[n % 2], *hw, 1 + n % 5)
        yield pytest.param(kind, shape, size, strides, padding, id=f"{n}-{kind}-{padding}")


def close(ours, theirs, what):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype == np.float32, what
    error = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6)
    assert error <= LIMIT, f"{what}: relative error {error:.1e}"


def compare(keras, layer, theirs, x, rng, training=False):
    """One layer of each, equal weights and inputs: outputs and all gradients."""
    import tensorflow as tf

    model = myad.Sequential([layer], x.shape[1:])
    model.parameters = {
        name: rng.uniform(0.5, 1.5, p.shape) if "moving_var" in name else rng.normal(size=p.shape)
        for name, p in model.parameters.items()
    }
    reference = keras.Sequential([keras.Input(x.shape[1:]), theirs])
    myad.to_keras(model, reference)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        expected = reference(variable, training=training)
        # all positive: sums that cancel to nearly nothing would compare rounding errors
        upstream = rng.uniform(0.2, 1.8, expected.shape).astype(np.float32)
        total = tf.reduce_sum(expected * upstream)
    sources = [variable, *reference.trainable_variables]
    gradients = tape.gradient(total, sources)

    def ours(x, trainable):
        parameters = {**model.parameters, **trainable}
        return model.apply(parameters, x, training=training)[0]

    trainable = {name: model.parameters[name] for name in model.trainable}
    value, pullback = vjp(ours, x, trainable)
    close(value, expected, "output")
    dx, dw = pullback(upstream)
    close(dx, gradients[0], "gradient of the input")
    assert len(dw) == len(gradients) - 1
    for (name, gradient), wanted in zip(dw.items(), gradients[1:], strict=True):
        close(gradient, wanted, f"gradient of {name}")
    return model, reference


@pytest.mark.parametrize(("shape", "filters", "size", "settings"), list(conv_cases()))
def test_conv2d(keras, rng, shape, filters, size, settings):
    x = rng.standard_normal(shape).astype(np.float32)
    ours = myad.Conv2D(filters, size, **settings)
    compare(keras, ours, keras.layers.Conv2D(filters, size, **settings), x, rng)


@pytest.mark.parametrize(("kind", "shape", "size", "strides", "padding"), list(pool_cases()))
def test_pooling(keras, rng, kind, shape, size, strides, padding):
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32) / 7 - 5
    layers = {
        "max": (myad.MaxPool2D, keras.layers.MaxPooling2D),
        "average": (myad.AveragePooling2D, keras.layers.AveragePooling2D),
    }
    ours, theirs = layers[kind]
    compare(
        keras, ours(size, strides, padding), theirs(size, strides=strides, padding=padding), x, rng
    )


def test_max_pooling_with_ties(keras, rng):
    x = rng.integers(0, 3, (2, 8, 6, 3)).astype(np.float32)
    compare(keras, myad.MaxPool2D(2), keras.layers.MaxPooling2D(2), x, rng)


@pytest.mark.parametrize("activation", list(myad.nn.ACTIVATIONS))
def test_activation(keras, rng, activation):
    x = (3 * rng.standard_normal((4, 7))).astype(np.float32)
    compare(keras, myad.Activation(activation), keras.layers.Activation(activation), x, rng)


@pytest.mark.parametrize("units", [2, 3, 10])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_dense(keras, rng, units, batch, activation):
    x = rng.standard_normal((batch, 6)).astype(np.float32)
    ours = myad.Dense(units, activation, use_bias=units != 3)
    theirs = keras.layers.Dense(units, activation, use_bias=units != 3)
    compare(keras, ours, theirs, x, rng)


@pytest.mark.parametrize("shape", [(1, 5, 4, 1), (3, 4, 7, 5)])
def test_shape_layers(keras, rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    compare(keras, myad.Flatten(), keras.layers.Flatten(), x, rng)
    compare(keras, myad.GlobalAveragePooling2D(), keras.layers.GlobalAveragePooling2D(), x, rng)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(4, 5, 3, 2), (6, 4)])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (True, False)])
def test_batch_normalization(keras, rng, training, shape, center, scale):
    x = rng.standard_normal(shape).astype(np.float32)
    settings = {"momentum": 0.9, "center": center, "scale": scale}
    ours = myad.BatchNormalization(**settings)
    model, reference = compare(
        keras, ours, keras.layers.BatchNormalization(**settings), x, rng, training
    )
    if training:
        _, updates = model.apply(model.parameters, x, training=True)
        for name in ("moving_mean", "moving_variance"):
            close(updates[f"0.{name}"], getattr(reference.layers[0], name), name)


def test_the_grid_has_at_least_150_configurations():
    # and beside these two, the tests above add more than thirty
    assert len(list(conv_cases())) + len(list(pool_cases())) + 30 >= 150
