"""Shapes of layers and parameters, worked out by hand; workloads that do not fit their data."""

import pytest

from harness.workload.format import WorkloadError, load, parse
from harness.workload.shapes import (
    layer_types,
    parameter_count,
    parameter_shapes,
    resolve,
)


def resolved(name: str, overrides=(), shape=(28, 28, 1), classes=10):
    return resolve(load(name, overrides).document(), shape, classes)


def sizes(model) -> list[tuple[int, ...]]:
    return [tuple(layer["output_shape"]) for layer in model["layers"]]


def test_paper_has_1710_parameters():
    model = resolved("paper")["model"]
    assert sizes(model) == [(26, 26, 1), (13, 13, 1), (169,), (10,)]
    assert parameter_shapes(model) == {
        "0.kernel": (3, 3, 1, 1),
        "0.bias": (1,),
        "3.kernel": (169, 10),
        "3.bias": (10,),
    }
    assert parameter_count(model) == 1710
    assert layer_types(model) == ["conv2d", "max_pooling2d", "flatten", "dense"]


@pytest.mark.parametrize(
    ("preset", "shape", "parameters"),
    [
        ("lenet5", (28, 28, 1), 61_706),
        ("simplechains", (28, 28, 1), 44_426),  # as SimpleChains' documentation counts them
        ("vgg", (32, 32, 3), 1_116_970),
    ],
)
def test_a_published_network_has_its_parameters(preset, shape, parameters):
    assert parameter_count(resolved(preset, shape=shape)["model"]) == parameters


def test_same_padding_and_strides_round_up():
    overrides = ["model.layers.0.padding=same", "model.layers.0.strides=[2, 3]"]
    model = resolved("paper", overrides)["model"]
    assert sizes(model)[0] == (14, 10, 1)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "count", "pads"),
    [
        (5, 3, 1, "same", 5, [1, 1]),
        (5, 2, 1, "same", 5, [0, 1]),  # an odd pixel goes last
        (5, 2, 2, "same", 3, [0, 1]),
        (4, 3, 2, "same", 2, [0, 1]),
        (7, 3, 2, "same", 4, [1, 1]),
        (4, 2, 2, "same", 2, [0, 0]),
        (5, 1, 3, "same", 2, [0, 0]),  # windows that jump over pixels need none beyond them
        (5, 7, 1, "same", 5, [3, 3]),
        (5, 2, 2, "valid", 2, [0, 0]),
    ],
)
@pytest.mark.parametrize("layer", [0, 1])
def test_a_job_holds_output_sizes_and_pads(layer, size, window, stride, padding, count, pads):
    extent = ("kernel_size", "pool_size")[layer]
    settings = {extent: [1, window], "strides": [1, stride], "padding": padding}
    overrides = ["model.layers.0.kernel_size=1"] if layer else []
    overrides += [f"model.layers.{layer}.{key}={value}" for key, value in settings.items()]
    if not layer:
        overrides.append("model.layers.1.pool_size=1")
    found = resolved("paper", overrides, shape=(3, size, 1))["model"]["layers"][layer]
    assert (found["output_shape"], found["pads"]) == ([3, count, 1], [[0, 0], pads])


def test_a_workloads_document_holds_no_sizes():
    document = load("lenet5").document()
    resolve(document, (28, 28, 1), 10)
    keys = {key for layer in document["model"]["layers"] for key in layer}
    assert not {"output_shape", "pads"} & keys


def test_a_pools_strides_are_its_size_unless_given():
    assert resolved("paper")["model"]["layers"][1]["strides"] == [2, 2]
    given = resolved("paper", ["model.layers.1.strides=1"])["model"]
    assert sizes(given)[1] == (25, 25, 1)


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
