"""Compiled training against eager: every layer, loss and optimizer, and what goes wrong."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import myad
from myad.compile.build import PASSES, build
from myad.compile.load import module_of
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.compiled import compile_predict

STEPS = 1000
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
DENSE = {"type": "dense", "units": 4, "activation": "softmax"}
FLAT = {"type": "flatten"}
POOL = {"type": "max_pooling2d", "pool_size": 2}


def conv(filters, size=3, **options):
    return {"type": "conv2d", "filters": filters, "kernel_size": size, **options}


LAYERS = {
    "conv-relu-pool": [conv(1, activation="relu"), POOL, FLAT, DENSE],
    "conv-no-bias": [conv(3, 2, use_bias=False, activation="tanh"), FLAT, DENSE],
    "same-strided": [conv(2, padding="same", strides=2, activation="sigmoid"), FLAT, DENSE],
    "dilated": [conv(2, 2, dilation_rate=2, padding="same", activation="elu"), FLAT, DENSE],
    "two-convs": [conv(3, padding="same", activation="relu"), POOL, conv(2, 2), FLAT, DENSE],
    "overlapping-pool": [
        conv(2), {"type": "max_pooling2d", "pool_size": 3, "strides": 1}, FLAT, DENSE
    ],
    "same-pool": [
        conv(2), {"type": "max_pooling2d", "pool_size": 2, "strides": 2, "padding": "same"}, FLAT,
        DENSE,
    ],
    "average-pool": [
        conv(2), {"type": "average_pooling2d", "pool_size": 2, "padding": "same"}, FLAT, DENSE
    ],
    "global-average": [conv(4, activation="relu"), {"type": "global_average_pooling2d"}, DENSE],
    "dropout": [FLAT, {"type": "dense", "units": 9, "activation": "relu"},
                {"type": "dropout", "rate": 0.4}, DENSE],
    "batch-normalization": [
        conv(3, use_bias=False), {"type": "batch_normalization"},
        {"type": "activation", "activation": "relu"}, FLAT, DENSE,
    ],
    "activations": [FLAT, {"type": "dense", "units": 8, "activation": "softplus"},
                    {"type": "dense", "units": 8, "activation": "silu"},
                    {"type": "dense", "units": 8, "activation": "leaky_relu"}, DENSE],
}  # fmt: skip
OPTIMIZERS = {
    "sgd": myad.SGD(learning_rate=0.01),
    "momentum": myad.SGD(learning_rate=0.01, momentum=0.8),
    "nesterov": myad.SGD(learning_rate=0.01, momentum=0.8, nesterov=True, weight_decay=1e-3),
    "adam": myad.Adam(learning_rate=0.002),
    "rmsprop": myad.RMSprop(learning_rate=1e-3),
    "rmsprop-centered": myad.RMSprop(learning_rate=1e-3, momentum=0.5, centered=True),
    "exponential": myad.SGD(learning_rate=myad.ExponentialDecay(0.02, 50, 0.9)),
    "staircase": myad.SGD(learning_rate=myad.ExponentialDecay(0.02, 50, 0.9, staircase=True)),
    "cosine": myad.Adam(learning_rate=myad.CosineDecay(0.01, 400)),
    "piecewise": myad.SGD(learning_rate=myad.PiecewiseConstantDecay((100, 300), (0.02, 0.01, 0.0))),
}
LOSSES = {
    "sparse": ("sparse_categorical_crossentropy", "softmax", "classes"),
    "sparse-probabilities": ("sparse_categorical_crossentropy", "sigmoid", "classes"),
    "categorical": ("categorical_crossentropy", "softmax", "one-hot"),
    "binary": ("binary_crossentropy", "sigmoid", "one-hot"),
    "squares": ("mean_squared_error", "tanh", "one-hot"),
}


def pair(layers, shape=(7, 6, 2), dtype="float32"):
    """Two models with equal weights."""
    models = [myad.Sequential(layers, shape, dtype=dtype, seed=3) for _ in range(2)]
    models[1].parameters = models[0].parameters
    return models


def assert_trained_alike(eager, native, tolerance):
    for name, wanted in eager.parameters.items():
        scale = max(float(np.abs(wanted).max()), 1e-2)
        difference = float(np.abs(native.parameters[name] - wanted).max()) / scale
        assert difference <= tolerance, f"{name}: {difference:.2e}"


def train_both(layers, images, labels, dtype="float32", **options):
    eager, native = pair(layers, images.shape[1:], dtype)
    options = {"progress": False, "seed": 4, **options}
    before = myad.fit(eager, images, labels, **options)
    after = myad.fit(native, images, labels, compiled=True, **options)
    np.testing.assert_allclose(after.loss, before.loss, rtol=10 * TOLERANCE[dtype])
    assert_trained_alike(eager, native, TOLERANCE[dtype])
    return native


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_every_layer_trains_as_eagerly(layers, dtype, data):
    images, labels = data()
    train_both(layers, images, labels, dtype, epochs=STEPS // 10, batch_size=4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_trains_as_eagerly(optimizer, dtype, data):
    images, labels = data()
    layers = [FLAT, {"type": "dense", "units": 5, "activation": "tanh"}, DENSE]
    options = {"optimizer": optimizer, "epochs": STEPS // 10, "batch_size": 4}
    train_both(layers, images, labels, dtype, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "activation", "targets"), LOSSES.values(), ids=LOSSES)
def test_every_loss_trains_as_eagerly(loss, activation, targets, dtype, data):
    images, labels = data()
    if targets == "one-hot":
        labels = np.eye(4, dtype=dtype)[labels]
    layers = [FLAT, {"type": "dense", "units": 4, "activation": activation}]
    options = {"loss": loss, "epochs": STEPS // 10, "batch_size": 4}
    train_both(layers, images, labels, dtype, **options)


@pytest.mark.parametrize("batch_size", [1, 7, 16, 100])
def test_short_last_batches_and_a_new_order_every_epoch(batch_size, data):
    images, labels = data(33)
    layers = [conv(2, activation="relu"), POOL, FLAT, DENSE]
    train_both(layers, images, labels, epochs=3, batch_size=batch_size, shuffle=True)


def test_images_may_be_floating_point(data):
    images, labels = data()
    images = (images / 255).astype(np.float32)
    train_both([conv(2), FLAT, DENSE], images, labels.astype(np.int64), epochs=2, batch_size=8)


@st.composite
def networks(draw):
    """1 to 4 layers that fit their input: (input shape, layers)."""
    shape = draw(st.tuples(st.integers(5, 11), st.integers(5, 11), st.integers(1, 3)))
    layers, size = [], [shape[0], shape[1]]
    for _ in range(draw(st.integers(0, 2))):
        kernel = draw(st.integers(1, min(3, *size)))
        strides = draw(st.integers(1, 2))
        padding = draw(st.sampled_from(["valid", "same"]))
        if draw(st.booleans()):
            activation = draw(st.sampled_from(["relu", "tanh", None]))
            layers.append(conv(draw(st.integers(1, 5)), kernel, strides=strides, padding=padding,
                               activation=activation))  # fmt: skip
        else:
            kind = draw(st.sampled_from(["max_pooling2d", "average_pooling2d"]))
            layers.append({"type": kind, "pool_size": kernel, "strides": strides,
                           "padding": padding})  # fmt: skip
        size = [-(-s // strides) if padding == "same" else (s - kernel) // strides + 1
                for s in size]  # fmt: skip
    return shape, [*layers, FLAT, {"type": "dense", "units": 4, "activation": "softmax"}]


@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(
    network=networks(), batch_size=st.integers(1, 9), dtype=st.sampled_from(["float32", "float64"])
)
def test_random_networks_compile_and_agree(network, batch_size, dtype, data):
    shape, layers = network
    images, labels = data(11, shape)
    train_both(layers, images, labels, dtype, epochs=2, batch_size=batch_size)


def test_prediction_is_the_eager_one(data):
    images, _ = data(23)
    layers = [conv(3), {"type": "batch_normalization"}, FLAT, {"type": "dropout", "rate": 0.5},
              DENSE]  # fmt: skip
    model = myad.Sequential(layers, (7, 6, 2), seed=1)
    for batch_size in (1, 5, 64):
        got = compile_predict(model, images, batch_size=batch_size)(images)
        np.testing.assert_allclose(got, myad.predict(model, images), atol=1e-6)


def test_the_same_seed_gives_the_same_bits(data):
    images, labels = data()
    results = []
    for _ in range(2):
        _, model = pair(LAYERS["dropout"])
        myad.fit(model, images, labels, compiled=True, epochs=2, seed=9, progress=False)
        results.append(model.parameters)
    for name, first in results[0].items():
        np.testing.assert_array_equal(first, results[1][name])


@pytest.mark.parametrize("left_out", PASSES)
def test_leaving_out_a_pass_changes_nothing_but_speed(left_out, data):
    images, labels = data(4)
    model = myad.Sequential(LAYERS["two-convs"], (7, 6, 2), dtype="float64")
    step = myad.training_step(model, "sparse_categorical_crossentropy", myad.SGD())
    arguments = [model.parameters, {"step": np.zeros((), np.int32)}, images, labels]
    program, _ = trace(step, *arguments)
    results = []
    for without in ((), (left_out,)):
        plan = build(program, Machine(32, 16), without=without)
        module = module_of(plan)
        values = [*model.parameters.values(), arguments[1]["step"], images, labels]
        for place, value in zip(module.inputs, values, strict=True):
            module.write(place, value)
        module.run()
        results.append([module.read(place) for place in module.outputs])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-14)


def test_the_mean_loss_is_the_same_however_the_clock_cuts_an_epoch(data, monkeypatch):
    monkeypatch.setattr("myad.compile.training.SLICE_S", 1e9)  # each slice longer than the last
    images, labels = data()
    targets, found = np.eye(4)[labels], set()
    for first in (1.0, 2.0, 3.0, 40.0):  # steps of the first slice
        model = myad.Sequential([myad.Flatten(), myad.Dense(4)], (7, 6, 2), "float64", seed=3)
        training = myad.compile_training(
            model, "mean_squared_error", myad.SGD(0.01), images, targets, batch_size=1
        )
        losses = []
        for _ in range(5):
            training._pace = first
            losses.append(training.epoch(images, targets))
        found.add(tuple(losses))
    assert len(found) == 1


@pytest.mark.parametrize("rule", [myad.SGD, myad.Adam, myad.RMSprop])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_table_of_rates_gives_what_eager_gives(rng, rule, shuffle):
    images = rng.integers(0, 256, (21, 6, 6, 1), dtype=np.uint8)
    labels = rng.integers(0, 4, 21)
    rates = myad.schedules.Table(rng.uniform(0.001, 0.1, 9))  # 3 epochs of 6 steps: too few
    found = []
    for compiled in (False, True):
        model = myad.Sequential([conv(2), FLAT, DENSE], (6, 6, 1), "float64", seed=1)
        state = None
        for epochs in (1, 2):  # the second call goes on where the first one ended
            optimizer = rule(rates, weight_decay=0.01)
            history = myad.fit(
                model, images, labels, optimizer=optimizer, epochs=epochs, batch_size=4,
                shuffle=shuffle, compiled=compiled, optimizer_state=state, progress=False,
            )  # fmt: skip
            state = history.optimizer_state
        found.append(model.parameters)
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-10, atol=1e-12)


def test_another_table_is_the_same_code():
    images, labels = np.zeros((8, 2, 2, 1), np.uint8), np.zeros(8, int)
    model = myad.Sequential([FLAT, DENSE], (2, 2, 1))
    rules = [myad.SGD(myad.schedules.Table([0.1, last])) for last in (0.2, 0.3)]
    made = [
        myad.compiled.compile_training(
            model, "sparse_categorical_crossentropy", rule, images, labels, batch_size=4
        )
        for rule in rules
    ]
    assert made[0].ir == made[1].ir
