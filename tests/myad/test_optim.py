"""Optimizers and schedules against Keras, and whole trainings step by step."""

import numpy as np
import pytest

import myad
from myad import errors, schedules
from myad.losses import loss_from
from myad.optim import optimizer_from

OPTIMIZERS = {  # ours, theirs, settings
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "sgd-decay": ("SGD", {"learning_rate": 0.05, "weight_decay": 0.01}),
    "sgd-momentum": ("SGD", {"learning_rate": 0.02, "momentum": 0.9}),
    "sgd-nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.8, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.003}),
    "adam-decay": ("Adam", {"learning_rate": 0.003, "beta_1": 0.8, "weight_decay": 0.02}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.002}),
    "rmsprop-momentum": ("RMSprop", {"learning_rate": 0.001, "momentum": 0.7, "rho": 0.8}),
    "rmsprop-centered": ("RMSprop", {"learning_rate": 0.001, "centered": True, "momentum": 0.5}),
}
SCHEDULES = {
    "exponential": ("ExponentialDecay", (0.1, 7, 0.5)),
    "staircase": ("ExponentialDecay", (0.1, 4, 0.5, True)),
    "cosine": ("CosineDecay", (0.1, 15, 0.1)),
    "piecewise": ("PiecewiseConstantDecay", ([3, 9], [0.1, 0.03, 0.01])),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_updates_agree_with_keras(keras, rng, name):
    kind, settings = OPTIMIZERS[name]
    theirs = getattr(keras.optimizers, kind)(**settings)
    ours = getattr(myad, kind)(**settings)
    start = {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(4)}
    weights = {k: v.astype(np.float32) for k, v in start.items()}
    variables = [keras.Variable(weights["w"]), keras.Variable(weights["b"])]
    state = ours.init(weights)
    for _ in range(20):
        gradients = {k: rng.standard_normal(v.shape).astype(np.float32) for k, v in start.items()}
        theirs.apply(list(gradients.values()), variables)
        weights, state = ours.update(gradients, state, weights)
    assert state["step"] == 20
    for (key, found), variable in zip(weights.items(), variables, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, variable.numpy(), rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_agrees_with_keras(keras, name):
    kind, settings = SCHEDULES[name]
    theirs = getattr(keras.optimizers.schedules, kind)(*settings)
    ours = getattr(schedules, kind)(*settings)
    for step in range(20):
        found = ours(np.asarray(step, np.float32))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, theirs(step), rtol=2e-6, err_msg=str(step))


def test_schedule_is_read_at_the_steps_done_before():
    rate = schedules.PiecewiseConstantDecay([0, 1], [1.0, 10.0, 100.0])
    optimizer = myad.SGD(learning_rate=rate)
    weights = {"w": np.zeros(1)}
    state = optimizer.init(weights)
    seen = []
    for _ in range(4):
        weights, state = optimizer.update({"w": np.array([-1.0])}, state, weights)
        seen.append(float(weights["w"][0]))
    assert seen == [1.0, 11.0, 111.0, 211.0]


def test_a_table_is_one_rate_per_step_and_the_last_one_beyond():
    table = schedules.Table([0.5, 0.25, 0.125])
    steps = [table(np.asarray(t, np.float32)) for t in range(5)]
    assert [float(rate) for rate in steps] == [0.5, 0.25, 0.125, 0.125, 0.125]
    assert {rate.dtype for rate in steps} == {np.dtype(np.float32)}
    assert table.of_steps(1, 3).tolist() == [0.25, 0.125, 0.125]


NETWORKS = {
    "conv-pool-dense": (
        [
            myad.Conv2D(3, 3, activation="relu"),
            myad.MaxPool2D(2),
            myad.Flatten(),
            myad.Dense(5, activation="softmax"),
        ],
        "sparse_categorical_crossentropy",
    ),
    "same-average-tanh": (
        [
            myad.Conv2D(4, 2, padding="same", strides=2, activation="tanh"),
            myad.AveragePooling2D(2, padding="same"),
            myad.Flatten(),
            myad.Dense(8, activation="sigmoid"),
            myad.Dense(5),
        ],
        "mean_squared_error",
    ),
    "normalized": (
        [
            myad.Conv2D(4, 3, use_bias=False),
            myad.BatchNormalization(momentum=0.9),
            myad.Activation("relu"),
            myad.GlobalAveragePooling2D(),
            myad.Dense(5, activation="softmax"),
        ],
        "categorical_crossentropy",
    ),
}


def keras_model(keras, layers, shape):
    """The same layers, named as in Keras."""
    kinds = {"MaxPool2D": "MaxPooling2D"}
    built = [keras.Input(shape)]
    for layer in layers:
        settings = {k: v for k, v in vars(layer).items() if "initializer" not in k}
        kind = type(layer).__name__
        built.append(getattr(keras.layers, kinds.get(kind, kind))(**settings))
    return keras.Sequential(built)


@pytest.mark.tensorflow
@pytest.mark.parametrize("optimizer", ["sgd-momentum", "sgd-nesterov", "adam", "rmsprop"])
@pytest.mark.parametrize("network", NETWORKS)
def test_fifty_steps_stay_within_1e_4_of_keras(keras, rng, network, optimizer):
    layers, loss = NETWORKS[network]
    shape = (8, 9, 2)
    model = myad.Sequential(layers, shape, seed=3)
    reference = keras_model(keras, layers, shape)
    myad.to_keras(model, reference)
    kind, settings = OPTIMIZERS[optimizer]
    reference.compile(optimizer=getattr(keras.optimizers, kind)(**settings), loss=loss)
    rule = getattr(myad, kind)(**settings)
    step = myad.training_step(model, loss, rule)
    parameters = model.parameters
    state = rule.init({name: parameters[name] for name in model.trainable})
    for _ in range(50):
        x = rng.standard_normal((4, *shape)).astype(np.float32)
        y = rng.integers(0, 5, 4)
        if loss != "sparse_categorical_crossentropy":
            y = np.eye(5, dtype=np.float32)[y]
        expected = reference.train_on_batch(x, y)
        _, parameters, state = step(parameters, state, x, y)
    assert np.isfinite(expected)
    model.parameters = parameters
    for layer, theirs in zip(model.layers, reference.layers, strict=True):
        assert layer.kind.replace("_", "") in type(theirs).__name__.lower()
    theirs = myad.Sequential(layers, shape)
    myad.from_keras(theirs, reference)
    for name, wanted in theirs.parameters.items():
        difference = np.linalg.norm(parameters[name] - wanted) / np.linalg.norm(wanted)
        assert difference < 1e-4, f"{name}: {difference:.1e}"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optimizer_from("adagrad"), "optimizer: 'adagrad' is none of sgd, adam, rmsprop"),
        (lambda: optimizer_from("sgd", beta_1=0.5), "optimizer 'sgd': .*beta_1"),
        (lambda: myad.SGD(learning_rate=-1.0), "learning_rate must be a number >= 0, not -1.0"),
        (lambda: myad.SGD(momentum=1.0), r"momentum must lie in \[0, 1\), not 1.0"),
        (lambda: myad.Adam(beta_2=1.5), r"beta_2 must lie in \[0, 1\)"),
        (lambda: myad.Adam(weight_decay=-0.1), "weight_decay must be >= 0"),
        (lambda: schedules.PiecewiseConstantDecay([5, 2], [1, 2, 3]), "rising boundaries"),
        (lambda: schedules.Table([1, 2]), r"Table: needs a float for each step, not int64 \(2,\)"),
        (lambda: schedules.Table([]), r"Table: needs a float for each step, not float64 \(0,\)"),
        (lambda: schedules.Table([0.1, -0.1]), "Table: every rate must be a number >= 0"),
        (lambda: schedules.Table([0.1, np.nan]), "Table: every rate must be a number >= 0"),
    ],
)
def test_wrong_settings_are_named(make, text):
    with pytest.raises(errors.OptionError, match=text):
        make()


def test_update_changes_nothing_in_place(rng):
    rule = myad.Adam()
    weights = {"w": rng.standard_normal(3)}
    state = rule.init(weights)
    before = weights["w"].copy(), {k: v.copy() for k, v in state.items()}
    rule.update({"w": np.ones(3)}, state, weights)
    np.testing.assert_array_equal(weights["w"], before[0])
    for key, value in state.items():
        np.testing.assert_array_equal(value, before[1][key])


def test_float64_stays_float64(rng):
    for rule in (myad.SGD(momentum=0.5), myad.Adam(), myad.RMSprop(centered=True)):
        weights = {"w": rng.standard_normal(3)}
        new, state = rule.update({"w": np.ones(3)}, rule.init(weights), weights)
        assert new["w"].dtype == np.float64
        assert {v.dtype for k, v in state.items() if k != "step"} == {np.dtype(np.float64)}


def test_a_name_or_an_optimizer_is_taken():
    assert optimizer_from("adam", learning_rate=0.5) == myad.Adam(learning_rate=0.5)
    rule = myad.RMSprop()
    assert optimizer_from(rule) is rule
    assert loss_from("mean_squared_error") == myad.MeanSquaredError()


@pytest.mark.parametrize("rule", [myad.SGD, myad.Adam, myad.RMSprop])
def test_the_learning_rate_may_be_given_by_position(rule):
    assert rule(0.5) == rule(learning_rate=0.5)
    with pytest.raises(TypeError, match="positional"):
        rule(0.5, 0.9)
