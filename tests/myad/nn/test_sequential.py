"""Models: construction, names, summary, errors; dropout; initialisers."""

import numpy as np
import pytest

import myad
from myad import errors, init


def paper():
    return myad.Sequential(
        [
            myad.Conv2D(1, 3, activation="relu"),
            myad.MaxPool2D(2),
            myad.Flatten(),
            myad.Dense(10, activation="softmax"),
        ],
        (28, 28, 1),
    )


def test_parameters_are_named_by_layer_and_shaped_as_in_keras():
    shapes = {name: p.shape for name, p in paper().parameters.items()}
    assert shapes == {
        "0.kernel": (3, 3, 1, 1),
        "0.bias": (1,),
        "3.kernel": (169, 10),
        "3.bias": (10,),
    }
    assert paper().count_parameters() == 1710
    model = myad.Sequential([myad.BatchNormalization()], (4, 4, 3))
    assert list(model.parameters) == [
        f"0.{n}" for n in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    assert model.trainable == ("0.gamma", "0.beta")


def test_summary_and_repr():
    assert paper().summary().splitlines() == [
        "   layer          output shape      parameters",
        "0  conv2d         ('N', 26, 26, 1)          10",
        "1  max_pooling2d  ('N', 13, 13, 1)           0",
        "2  flatten        ('N', 169)                 0",
        "3  dense          ('N', 10)              1,700",
        "1,710 parameters, 0 of them not trained",
    ]
    text = repr(paper())
    assert text.startswith("Sequential([\n    Conv2D(filters=1, kernel_size=3, strides=1")
    assert text.endswith("], input_shape=(28, 28, 1), dtype='float32')")


def test_a_model_is_built_from_mappings():
    layers = [
        {"type": "conv2d", "filters": 2, "kernel_size": (3, 3), "padding": "same"},
        {"type": "average_pooling2d", "pool_size": (2, 2), "strides": None},
        {"type": "dropout", "rate": 0.5},
        {"type": "flatten"},
        {"type": "dense", "units": 3},
        {"type": "activation", "activation": "softmax"},
    ]
    model = myad.Sequential(layers, (6, 6, 1))
    assert [layer.kind for layer in model.layers] == [layer["type"] for layer in layers]
    assert model.output_shape == (3,)
    np.testing.assert_allclose(model(np.ones((2, 6, 6, 1), np.float32)).value.sum(axis=1), 1, 1e-6)


def test_equal_seeds_give_equal_weights_and_others_others():
    a, b = paper().parameters, paper().parameters
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    other = myad.Sequential(paper().layers, (28, 28, 1), seed=1).parameters
    assert (other["3.kernel"] != a["3.kernel"]).any()


def test_logits_are_what_softmax_is_applied_to(rng):
    model = paper()
    x = rng.random((3, 28, 28, 1), dtype=np.float32)
    logits, _ = model.apply(model.parameters, x, activate_last=False)
    outputs = model(x).value
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), outputs, 1e-5)


def test_float64_models_stay_float64(rng):
    model = myad.Sequential([myad.Dense(2), myad.BatchNormalization()], (3,), dtype="float64")
    assert {p.dtype for p in model.parameters.values()} == {np.dtype("float64")}
    assert model(rng.standard_normal((4, 3))).dtype == np.float64


def test_dropout_zeroes_its_share_and_scales_the_rest():
    model = myad.Sequential([myad.Dropout(0.3)], (10_000,))
    x = np.full((1, 10_000), 7.0, np.float32)
    y, _ = model.apply({}, x, training=True, key=myad.random_key(5))
    share = (y == 0).mean()
    assert abs(share - 0.3) < 5 * np.sqrt(0.21 / 10_000)
    np.testing.assert_allclose(y[y != 0], 10.0, rtol=1e-6)
    np.testing.assert_array_equal(model(x).value, x)
    again, _ = model.apply({}, x, training=True, key=myad.random_key(5))
    np.testing.assert_array_equal(y, again)
    other, _ = model.apply({}, x, training=True, key=myad.random_key(5, 1))
    assert 0.3 < (y != other).mean() < 0.55  # 2·0.3·0.7 = 0.42


def test_two_dropouts_draw_differently():
    model = myad.Sequential([myad.Dropout(0.5), myad.Dropout(0.5)], (10_000,))
    x = np.ones((1, 10_000), np.float32)
    y, _ = model.apply({}, x, training=True, key=myad.random_key(0))
    assert abs((y != 0).mean() - 0.25) < 0.03


def test_gradient_of_dropout_goes_where_the_values_went():
    model = myad.Sequential([myad.Dropout(0.5)], (50,))
    key = myad.random_key(1)

    def total(x):
        return model.apply({}, x, training=True, key=key)[0].sum()

    x = np.ones((1, 50), np.float32)
    y, _ = model.apply({}, x, training=True, key=key)
    np.testing.assert_array_equal(myad.grad(total)(x), y)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: myad.Sequential([], (3,)), "OptionError", "needs a layer"),
        (lambda: myad.Sequential([myad.Dense(1)], (0,)), "OptionError", "lengths >= 1"),
        (lambda: myad.Sequential([myad.Dense(1)], (3,), "int32"), "DTypeError", "not int32"),
        (
            lambda: myad.Sequential([{"type": "lstm"}], (3,)),
            "OptionError",
            "'lstm' is none of conv",
        ),
        (
            lambda: myad.Sequential([{"type": "dense", "size": 3}], (3,)),
            "OptionError",
            "layer 'dense': .*size",
        ),
        (
            lambda: myad.Sequential([myad.MaxPool2D(2), myad.Conv2D(1, 9)], (8, 8, 1)),
            "ShapeError",
            r"layer 1, conv2d: a window that reaches over 9 pixels does not fit 4 of \(4, 4, 1\)",
        ),
        (
            lambda: myad.Sequential([myad.Flatten(), myad.Conv2D(1, 3)], (8, 8, 1)),
            "ShapeError",
            r"layer 1, conv2d: needs images \(H, W, C\), got \(64,\)",
        ),
        (lambda: myad.Conv2D(0, 3), "OptionError", "filters must be an integer >= 1, not 0"),
        (lambda: myad.Conv2D(1, (3, 0)), "OptionError", r"integer >= 1 or a pair .* \(3, 0\)"),
        (lambda: myad.Conv2D(1, 3, padding="full"), "OptionError", "'full'"),
        (
            lambda: myad.Dense(3, activation="swosh"),
            "OptionError",
            "'swosh' is none of linear, relu",
        ),
        (lambda: myad.Dropout(1.0), "OptionError", r"rate must lie in \[0, 1\), not 1.0"),
        (
            lambda: myad.Sequential([myad.Dense(1, kernel_initializer="xavier")], (3,)),
            "OptionError",
            "initializer: 'xavier' is none of zeros, ones, glorot_uniform",
        ),
        (
            lambda: paper()(np.ones((1, 28, 28), np.float32)),
            "ShapeError",
            r"inputs must be \(N, 28, 28, 1\), not \(1, 28, 28\)",
        ),
        (
            lambda: paper()(np.ones((1, 28, 28, 1))),
            "DTypeError",
            "inputs must be float32, not float64",
        ),
        (
            lambda: myad.Sequential([myad.Dropout(0.5)], (3,)).apply(
                {}, np.ones((1, 3), np.float32), training=True
            ),
            "OptionError",
            "Dropout: training needs a key",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, text):
    with pytest.raises(getattr(errors, error), match="(?s)" + text):
        make()


@pytest.mark.parametrize("name", [n for n in init.INITIALIZERS if "_" in n])
def test_initialisers_have_their_variance(name):
    shape = (5, 5, 16, 32)
    values = init.initializer(name)(np.random.default_rng(0), shape)
    fan_in, fan_out = 5 * 5 * 16, 5 * 5 * 32
    assert init.fans(shape) == (fan_in, fan_out)
    variance = {
        "glorot": 2 / (fan_in + fan_out),
        "he": 2 / fan_in,
        "lecun": 1 / fan_in,
    }[name.split("_")[0]]
    # 12,800 draws: the variance has a relative standard deviation of at most 1.3 %
    np.testing.assert_allclose(values.var(), variance, rtol=0.05)
    assert abs(values.mean()) < 5 * np.sqrt(variance / values.size)
    cut = np.sqrt(3 * variance) if "uniform" in name else 2 * np.sqrt(variance) / 0.8796
    assert 0.97 * cut < abs(values).max() <= cut * 1.0001


def test_own_initialisers_are_taken():
    layer = myad.Dense(2, kernel_initializer=lambda generator, shape: np.full(shape, 3.0))
    model = myad.Sequential([layer], (4,))
    np.testing.assert_array_equal(model.parameters["0.kernel"], np.full((4, 2), 3, np.float32))
