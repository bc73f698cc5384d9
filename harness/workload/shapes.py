"""What a workload's layers do to the shape of an image, and which parameters they hold.

Sizes and paddings are worked out here, once, and stand in every job: no engine computes them again.
"""

from __future__ import annotations

import math
from typing import Any

from harness.workload.format import WorkloadError
from harness.workload.rates import is_scheduled

Shape = tuple[int, ...]


def resolve(
    document: dict[str, Any], input_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    """The `workload` object of a job: a workload's document joined with its data set's sizes.

    Each layer gets its `output_shape` for one image, and a convolution or pooling its `pads`: what
    `padding` means here, [[top, bottom], [left, right]].

    Args:
        document: `Workload.document()`.
        input_shape: (H, W, C) of the data set's images.
        classes: how many classes its labels have.
    Raises: WorkloadError where the layers do not fit the images or the classes.
    """
    shape: Shape = tuple(input_shape)
    layers: list[dict[str, Any]] = []
    for index, layer in enumerate(document["model"]["layers"]):
        layers.append(_resolved(layer, shape, index))
        shape = tuple(layers[-1]["output_shape"])
    if shape != (classes,):
        raise WorkloadError(
            f"{document['name']}: model.layers[{len(layers) - 1}] ({layers[-1]['type']}): gives "
            f"{_text(shape)}, but data set '{document['data']['dataset']}' has {classes} classes."
        )
    return {
        "name": document["name"],
        "model": {"input_shape": list(input_shape), "classes": classes, "layers": layers},
        "training": _training(document["training"]),
        "testing": dict(document["testing"]),
        **({"target": dict(document["target"])} if "target" in document else {}),
    }


def _training(settings: dict[str, Any]) -> dict[str, Any]:
    """Training with the length of its schedule, which stays where a job has fewer epochs."""
    if not is_scheduled(settings):
        return dict(settings)
    epochs = settings["schedule"]["epochs"] or settings["epochs"]
    return {**settings, "schedule": {**settings["schedule"], "epochs": epochs}}


def parameter_shapes(model: dict[str, Any]) -> dict[str, Shape]:
    """Shapes of a resolved model's parameters by their names in a weight file: "0.kernel", …"""
    before: Shape = tuple(model["input_shape"])
    parameters: dict[str, Shape] = {}
    for index, layer in enumerate(model["layers"]):
        after = tuple(layer["output_shape"])
        if layer["type"] == "conv2d":
            parameters[f"{index}.kernel"] = (*layer["kernel_size"], before[-1], after[-1])
        elif layer["type"] == "dense":
            parameters[f"{index}.kernel"] = (before[-1], after[-1])
        if layer.get("use_bias"):
            parameters[f"{index}.bias"] = (after[-1],)
        before = after
    return parameters


def parameter_count(model: dict[str, Any]) -> int:
    """How many numbers the model learns."""
    return sum(math.prod(shape) for shape in parameter_shapes(model).values())


def layer_types(model: dict[str, Any]) -> list[str]:
    """The types of the layers in order, as an engine has to report them."""
    return [layer["type"] for layer in model["layers"]]


def _resolved(layer: dict[str, Any], shape: Shape, index: int) -> dict[str, Any]:
    """The layer with its strides, its output's shape and its pads, for images of `shape`."""
    kind = layer["type"]
    if kind == "conv2d":
        sizes, pads = _windows(layer, layer["kernel_size"], shape, index)
        return {**layer, "output_shape": [*sizes, layer["filters"]], "pads": pads}
    if kind.endswith("pooling2d"):
        layer = {**layer, "strides": list(layer["strides"] or layer["pool_size"])}
        sizes, pads = _windows(layer, layer["pool_size"], shape, index)
        return {**layer, "output_shape": [*sizes, shape[-1]], "pads": pads}
    return {**layer, "output_shape": list(_flat(layer, shape, index))}


def _flat(layer: dict[str, Any], shape: Shape, index: int) -> Shape:
    """The output's shape of a layer without windows."""
    if layer["type"] == "flatten":
        return (math.prod(shape),)
    if layer["type"] == "dense":
        if len(shape) != 1:
            raise _misfit(layer, index, shape, "needs flat input; put a flatten layer before it")
        return (layer["units"],)
    return shape


def _windows(
    layer: dict[str, Any], window: list[int], shape: Shape, index: int
) -> tuple[list[int], list[list[int]]]:
    """How many windows there are along H and W, and the pads (before, after) along each.

    "same": ceil(size / stride) windows, padded evenly, an odd pixel last, as in Keras.
    """
    if len(shape) != 3:
        raise _misfit(layer, index, shape, "needs images (H, W, C); it cannot follow flatten")
    sizes, pads = [], []
    for size, extent, stride in zip(shape, window, layer["strides"], strict=False):
        count, total = (size - extent) // stride + 1, 0
        if layer["padding"] == "same":
            count = -(-size // stride)
            total = max((count - 1) * stride + extent - size, 0)
        elif extent > size:
            raise _misfit(layer, index, shape, f"its window {_text(window)} exceeds the input")
        sizes.append(count)
        pads.append([total // 2, total - total // 2])
    return sizes, pads


def _misfit(layer: dict[str, Any], index: int, shape: Shape, reason: str) -> WorkloadError:
    return WorkloadError(
        f"model.layers[{index}] ({layer['type']}): {reason}; the input is {_text(shape)}."
    )


def _text(shape: Any) -> str:
    return "x".join(str(size) for size in shape)
