"""Shapes of layers and parameters, worked out by hand; workloads that do not fit their data."""

import pytest

from harness.workload.format import WorkloadError, load, parse
from harness.workload.shapes import (
    layer_types,
    output_shapes,
    parameter_count,
    parameter_shapes,
    resolve,
)


def resolved(name: str, overrides=(), shape=(28, 28, 1), classes=10):
    return resolve(load(name, overrides).document(), shape, classes)


def test_paper_has_1710_parameters():
    model = resolved("paper")["model"]
    assert output_shapes(model) == [(26, 26, 1), (13, 13, 1), (169,), (10,)]
    assert parameter_shapes(model) == {
        "0.kernel": (3, 3, 1, 1),
        "0.bias": (1,),
        "3.kernel": (169, 10),
        "3.bias": (10,),
    }
    assert parameter_count(model) == 1710
    assert layer_types(model) == ["conv2d", "max_pooling2d", "flatten", "dense"]


def test_lenet5_has_61706_parameters():
    assert parameter_count(resolved("lenet5")["model"]) == 61706


def test_same_padding_and_strides_round_up():
    overrides = ["model.layers.0.padding=same", "model.layers.0.strides=[2, 3]"]
    model = resolved("paper", overrides)["model"]
    assert output_shapes(model)[0] == (14, 10, 1)


def test_a_pools_strides_are_its_size_unless_given():
    assert resolved("paper")["model"]["layers"][1]["strides"] == [2, 2]
    given = resolved("paper", ["model.layers.1.strides=1"])["model"]
    assert output_shapes(given)[1] == (25, 25, 1)


def test_a_layer_without_bias_has_none():
    model = resolved("paper", ["model.layers.0.use_bias=false"])["model"]
    assert "0.bias" not in parameter_shapes(model)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.layers.0.kernel_size=29",
            r"model.layers\[0\] \(conv2d\): its window 29x29 exceeds",
        ),
        (
            "model.layers.3.units=9",
            r"model.layers\[3\] \(dense\): gives 9, but data set 'mnist' has",
        ),
        ("model.layers.1.type=flatten", r"no such setting"),
    ],
)
def test_layers_that_do_not_fit(override, message):
    with pytest.raises(WorkloadError, match=message):
        resolved("paper", [override])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "dense", "units": 10, "activation": "softmax"}], "needs flat input; put a flat"),
        (
            [{"type": "flatten"}, {"type": "max_pooling2d"}, {"type": "activation"}],
            "cannot follow flatten; the input is 784.",
        ),
    ],
)
def test_layers_in_a_wrong_order(layers, message):
    layers = [
        {**layers[-1], "activation": "softmax"} if i == len(layers) - 1 else layer
        for i, layer in enumerate(layers)
    ]
    document = {**load("paper").document(), "model": {"layers": layers}}
    with pytest.raises(WorkloadError, match=message):
        resolve(parse(document).document(), (28, 28, 1), 10)
