"""Losses: against Keras with their gradients, and at the ends of the number range."""

import numpy as np
import pytest

import myad
from myad import errors, value_and_grad
from myad.losses import LOSSES, loss_from


def targets_and_outputs(name, from_logits, rng):
    logits = 2 * rng.standard_normal((5, 4))
    one_hot = np.eye(4)[rng.integers(0, 4, 5)]
    targets = {
        "sparse_categorical_crossentropy": rng.integers(0, 4, 5),
        "categorical_crossentropy": 0.8 * one_hot + 0.05,
        "binary_crossentropy": (rng.random((5, 4)) < 0.5).astype(float),
        "mean_squared_error": rng.standard_normal((5, 4)),
    }[name]
    if not from_logits and "categorical" in name:
        logits = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    elif not from_logits and "binary" in name:
        logits = 1 / (1 + np.exp(-logits))
    outputs = logits.astype(np.float32)
    return targets if targets.dtype.kind == "i" else targets.astype(np.float32), outputs


@pytest.mark.tensorflow
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_agree_with_keras(keras, rng, name, from_logits):
    import tensorflow as tf

    options = {} if name == "mean_squared_error" else {"from_logits": from_logits}
    targets, outputs = targets_and_outputs(name, from_logits, rng)
    theirs = {
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "binary_crossentropy": keras.losses.BinaryCrossentropy,
        "mean_squared_error": keras.losses.MeanSquaredError,
    }[name](**options)
    variable = tf.Variable(outputs)
    with tf.GradientTape() as tape:
        expected = theirs(targets, variable)
    ours = LOSSES[name](**options)
    value, gradient = value_and_grad(lambda y: ours(targets, y))(outputs)
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    wanted = np.asarray(tape.gradient(expected, variable))
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "mean_squared_error"])
def test_huge_logits_give_finite_losses_and_gradients(name, rng):
    targets, outputs = targets_and_outputs(name, True, rng)
    loss = LOSSES[name](from_logits=True)
    value, gradient = value_and_grad(lambda y: loss(targets, y))(1e4 * outputs)
    assert np.isfinite(value)
    assert value > 100
    assert np.isfinite(gradient).all()


def test_certain_probabilities_are_limited():
    p = np.array([[1.0, 0.0]], np.float32)
    value = myad.SparseCategoricalCrossentropy()(np.array([1]), p)
    np.testing.assert_allclose(value, -np.log(1e-7), rtol=1e-4)


def test_unknown_loss_lists_the_known_ones():
    with pytest.raises(errors.OptionError, match="loss: 'hinge' is none of sparse_categorical"):
        loss_from("hinge")


@pytest.mark.parametrize("name", ["categorical_crossentropy", "mean_squared_error"])
def test_targets_are_never_stretched(name):
    with pytest.raises(errors.ShapeError, match=r"(?s)one shape.*input 0: \(4,\).*\(4, 1\)"):
        LOSSES[name]()(np.zeros(4, np.float32), np.zeros((4, 1), np.float32))


def test_targets_are_not_cast():
    with pytest.raises(errors.DTypeError, match="mean_squared_error: dtypes differ"):
        myad.MeanSquaredError()(np.zeros((2, 1)), np.zeros((2, 1), np.float32))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_out_of_range(labels):
    logits = myad.Tensor(np.zeros((2, 3), np.float32))
    with pytest.raises(errors.DataError, match=r"labels must lie in \[0, 3\)"):
        myad.sparse_softmax_cross_entropy(logits, np.array(labels))


def test_labels_must_be_integers_one_per_row():
    logits = myad.Tensor(np.zeros((2, 3)))
    with pytest.raises(errors.DTypeError, match="labels must be integers"):
        myad.sparse_softmax_cross_entropy(logits, np.zeros(2))
    with pytest.raises(errors.ShapeError, match=r"logits \(N, K\), labels \(N,\)"):
        myad.sparse_softmax_cross_entropy(logits, np.zeros(3, int))
