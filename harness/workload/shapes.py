"""What a workload's layers do to the shape of an image, and which parameters they hold."""

from __future__ import annotations

import math
from typing import Any

from harness.workload.format import WorkloadError

Shape = tuple[int, ...]


def resolve(
    document: dict[str, Any], input_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    """The `workload` object of a job: a workload's document joined with its data set's sizes.

    Args:
        document: `Workload.document()`.
        input_shape: (H, W, C) of the data set's images.
        classes: how many classes its labels have.
    Raises: WorkloadError where the layers do not fit the images or the classes.
    """
    layers = [_with_strides(layer) for layer in document["model"]["layers"]]
    model = {"input_shape": list(input_shape), "classes": classes, "layers": layers}
    last = output_shapes(model)[-1]
    if last != (classes,):
        raise WorkloadError(
            f"{document['name']}: model.layers[{len(layers) - 1}] ({layers[-1]['type']}): gives "
            f"{_text(last)}, but data set '{document['data']['dataset']}' has {classes} classes."
        )
    return {
        "name": document["name"],
        "model": model,
        "training": dict(document["training"]),
        "testing": dict(document["testing"]),
    }


def output_shapes(model: dict[str, Any]) -> list[Shape]:
    """The shape of one image after each layer. Raises: WorkloadError naming the layer."""
    shape: Shape = tuple(model["input_shape"])
    shapes = []
    for index, layer in enumerate(model["layers"]):
        shape = _after(layer, shape, index)
        shapes.append(shape)
    return shapes


def parameter_shapes(model: dict[str, Any]) -> dict[str, Shape]:
    """Shapes of the parameters by their names in a weight file: "0.kernel", "0.bias", …"""
    before: Shape = tuple(model["input_shape"])
    parameters: dict[str, Shape] = {}
    for index, (layer, after) in enumerate(zip(model["layers"], output_shapes(model), strict=True)):
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


def _with_strides(layer: dict[str, Any]) -> dict[str, Any]:
    if layer["type"].endswith("pooling2d") and layer["strides"] is None:
        return {**layer, "strides": list(layer["pool_size"])}
    return dict(layer)


def _after(layer: dict[str, Any], shape: Shape, index: int) -> Shape:
    kind = layer["type"]
    if kind == "conv2d":
        return (*_windows(layer, layer["kernel_size"], shape, index), layer["filters"])
    if kind.endswith("pooling2d"):
        return (*_windows(layer, layer["pool_size"], shape, index), shape[-1])
    if kind == "flatten":
        return (math.prod(shape),)
    if kind == "dense":
        if len(shape) != 1:
            raise _misfit(layer, index, shape, "needs flat input; put a flatten layer before it")
        return (layer["units"],)
    return shape


def _windows(layer: dict[str, Any], window: list[int], shape: Shape, index: int) -> list[int]:
    if len(shape) != 3:
        raise _misfit(layer, index, shape, "needs images (H, W, C); it cannot follow flatten")
    sizes = []
    for size, extent, stride in zip(shape, window, layer["strides"], strict=False):
        if layer["padding"] == "same":
            sizes.append(-(-size // stride))
        elif extent > size:
            raise _misfit(layer, index, shape, f"its window {_text(window)} exceeds the input")
        else:
            sizes.append((size - extent) // stride + 1)
    return sizes


def _misfit(layer: dict[str, Any], index: int, shape: Shape, reason: str) -> WorkloadError:
    return WorkloadError(
        f"model.layers[{index}] ({layer['type']}): {reason}; the input is {_text(shape)}."
    )


def _text(shape: Any) -> str:
    return "x".join(str(size) for size in shape)
