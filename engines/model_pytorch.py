"""The workload's network in PyTorch, channels first, with weights to and from the shared layout.

Importing this module imports PyTorch; the engine does so in its `import` phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from harness.contract import Layer, Training, Unsupported, Workload

Gradients = tuple[torch.Tensor, ...]
Rule = Callable[[list[torch.Tensor], Gradients, float], None]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class Padding(nn.Module):
    """Pads (…, H, W) by what the job says."""

    def __init__(self, layer: Layer, value: float) -> None:
        super().__init__()
        self.value = value
        height, width = layer.pads
        self.pads = [*width, *height]  # F.pad counts from the last axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with its border."""
        return F.pad(x, self.pads, value=self.value)


class BorderAverage(nn.Module):
    """Average pooling that does not count what lies outside the image."""

    def __init__(self, padding: Padding, layer: Layer, shape: tuple) -> None:
        super().__init__()
        self.padding, self.layer = padding, layer
        inside = F.avg_pool2d(padding(torch.ones(1, 1, *shape)), layer.pool_size, layer.strides)
        self.scale = inside.reciprocal()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean of each window's pixels."""
        means = F.avg_pool2d(self.padding(x), self.layer.pool_size, self.layer.strides)
        return means * self.scale


class Network(nn.Module):
    """The workload's layers up to the logits: the loss takes logits, a class is their argmax.

    Images are (B, C, H, W) inside. `flatten` leaves the channel running slowest where Keras has it
    fastest, so the kernel of the dense layer behind it has its rows in another order here.
    Raises: Unsupported naming the first layer that is not known.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.layers = workload.model.layers
        self.parts = nn.ModuleDict()  # the layers with parameters, by their index
        self.rows: dict[int, np.ndarray] = {}  # row order of dense kernels after a flatten
        # what each layer gets, as the job has it: channels last
        outputs = [layer.output_shape for layer in self.layers]
        self.shapes: list[tuple[int, ...]] = [workload.model.input_shape, *outputs]
        self._waiting: np.ndarray | None = None  # row order for the next dense layer
        steps = [(step, i) for i in range(len(self.layers)) for step in self._build(i)]
        self.steps = nn.Sequential(*(step for step, _ in steps))
        self.step_layers = [index for _, index in steps]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of images (B, C, H, W)."""
        return self.steps(images)

    @torch.no_grad()
    def read(self, path: str) -> None:
        """Set the parameters from a weight file."""
        with np.load(path, allow_pickle=False) as weights:
            for name, (parameter, convert, _) in self._shared().items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(convert(weights[name]))))

    def write(self, path: str) -> None:
        """Write the parameters to a weight file."""
        weights = {
            name: np.ascontiguousarray(restore(parameter.detach().numpy()))
            for name, (parameter, _, restore) in self._shared().items()
        }
        np.savez(path, **weights)  # type: ignore[arg-type]

    def _shared(self) -> dict[str, tuple[nn.Parameter, Callable, Callable]]:
        """Each parameter's name in a weight file, with the way from that layout and back."""
        found: dict[str, tuple[nn.Parameter, Callable, Callable]] = {}
        for key, part in self.parts.items():
            index = int(key)
            if isinstance(part, nn.Conv2d):
                to, back = _kernel_first, _kernel_last
            else:
                to, back = _dense_layouts(self.rows.get(index))
            found[f"{index}.kernel"] = (part.weight, to, back)  # type: ignore[assignment]
            if part.bias is not None:
                found[f"{index}.bias"] = (part.bias, _unchanged, _unchanged)  # type: ignore[assignment]
        return found

    def _build(self, index: int) -> Iterator[nn.Module]:
        layer = self.layers[index]
        if layer.type == "conv2d":
            yield from self._convolution(index, layer)
        elif layer.type in ("max_pooling2d", "average_pooling2d"):
            yield from self._pooling(index, layer)
        elif layer.type == "flatten":
            yield from self._flatten(index)
        elif layer.type == "dense":
            yield self._dense(index, layer)
        elif layer.type == "dropout":
            yield nn.Dropout(layer.rate)
        elif layer.type != "activation":
            raise Unsupported(f"layer {index} ('{layer.type}')")
        activation = layer.get("activation", "linear")
        if activation in ACTIVATIONS:
            yield ACTIVATIONS[activation]()

    def _convolution(self, index: int, layer: Layer) -> Iterator[nn.Module]:
        channels = self.shapes[index][-1]
        part = nn.Conv2d(
            channels, layer.filters, layer.kernel_size, layer.strides, bias=layer.use_bias
        )
        (top, bottom), (left, right) = layer.pads
        if top == bottom and left == right:
            part.padding = (top, left)  # the same on both sides: no copy of the image
        else:
            yield Padding(layer, 0.0)
        self.parts[str(index)] = part
        yield part

    def _pooling(self, index: int, layer: Layer) -> Iterator[nn.Module]:
        has_border = any(map(any, layer.pads))
        if layer.type == "max_pooling2d":
            if has_border:
                yield Padding(layer, -torch.inf)
            yield nn.MaxPool2d(layer.pool_size, layer.strides)
        elif has_border:
            yield BorderAverage(Padding(layer, 0.0), layer, self.shapes[index][:2])
        else:
            yield nn.AvgPool2d(layer.pool_size, layer.strides)

    def _flatten(self, index: int) -> Iterator[nn.Module]:
        shape = self.shapes[index]
        if len(shape) == 3:
            self._waiting = np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()
            if not any(layer.type == "dense" for layer in self.layers[index:]):
                raise Unsupported(f"layer {index} ('flatten') with no dense layer behind it")
            yield nn.Flatten()

    def _dense(self, index: int, layer: Layer) -> nn.Module:
        part = nn.Linear(self.shapes[index][0], layer.units, bias=layer.use_bias)
        if self._waiting is not None:
            self.rows[index], self._waiting = self._waiting, None
        self.parts[str(index)] = part
        return part


class Update:
    """One optimizer step on lists of parameters and gradients, in Keras' form.

    torch.optim does the same at a price that one image per step makes visible: 135 to 150 µs for
    the paper's step instead of 102, and more than a second for what its constructor imports.
    Raises: Unsupported for an optimizer that is not known here.
    """

    def __init__(
        self,
        parameters: list[torch.Tensor],
        training: Training,
        rates: list[float] | None = None,
    ) -> None:
        """rates: the learning rate of every step, instead of the constant one."""
        self._training, self._rates, self._step = training, rates, 0
        rules = {"adam": self._adam, "rmsprop": self._rmsprop, "sgd": self._plain}
        if training.optimizer not in rules:
            raise Unsupported(f"optimizer '{training.optimizer}'")
        self._rule: Rule = rules[training.optimizer]
        if training.optimizer == "sgd" and training.momentum:
            self._rule = self._nesterov if training.nesterov else self._momentum
        self._first = [torch.zeros_like(p) for p in parameters]  # velocity, or Adam's m
        self._second = [torch.zeros_like(p) for p in parameters]  # v of Adam and RMSprop

    def apply(self, parameters: list[torch.Tensor], gradients: Gradients) -> None:
        """One step in place; with weight decay λ, θ ← θ·(1 − αλ) comes first."""
        rate = self._training.learning_rate if self._rates is None else self._rates[self._step]
        self._step += 1
        if self._training.weight_decay:
            torch._foreach_mul_(parameters, 1 - rate * self._training.weight_decay)
        self._rule(parameters, gradients, rate)

    def _plain(self, parameters: list[torch.Tensor], gradients: Gradients, rate: float) -> None:
        """θ ← θ − αg"""
        torch._foreach_add_(parameters, gradients, alpha=-rate)

    def _momentum(self, parameters: list[torch.Tensor], gradients: Gradients, rate: float) -> None:
        """v ← μv − αg, θ ← θ + v"""
        self._faster(gradients, rate)
        torch._foreach_add_(parameters, self._first)

    def _nesterov(self, parameters: list[torch.Tensor], gradients: Gradients, rate: float) -> None:
        """v ← μv − αg, θ ← θ + μv − αg"""
        self._faster(gradients, rate)
        torch._foreach_add_(parameters, self._first, alpha=self._training.momentum)
        torch._foreach_add_(parameters, gradients, alpha=-rate)

    def _faster(self, gradients: Gradients, rate: float) -> None:
        torch._foreach_mul_(self._first, self._training.momentum)
        torch._foreach_add_(self._first, gradients, alpha=-rate)

    def _adam(self, parameters: list[torch.Tensor], gradients: Gradients, rate: float) -> None:
        """α_t = α·√(1−β₂ᵗ)/(1−β₁ᵗ), θ ← θ − α_t·m/(√v + ε) (Kingma & Ba 2015, before §2.1)."""
        settings = self._training
        torch._foreach_lerp_(self._first, gradients, 1 - settings.beta_1)
        torch._foreach_mul_(self._second, settings.beta_2)
        torch._foreach_addcmul_(self._second, gradients, gradients, value=1 - settings.beta_2)
        denominators = torch._foreach_sqrt(self._second)
        torch._foreach_add_(denominators, settings.epsilon)
        correction = (1 - settings.beta_2**self._step) ** 0.5 / (1 - settings.beta_1**self._step)
        torch._foreach_addcdiv_(parameters, self._first, denominators, value=-rate * correction)

    def _rmsprop(self, parameters: list[torch.Tensor], gradients: Gradients, rate: float) -> None:
        """v ← ρv + (1−ρ)g², d = αg/√(v + ε), m ← μm + d, θ ← θ − m (Hinton 2012, lecture 6e)."""
        settings = self._training
        torch._foreach_mul_(self._second, settings.rho)
        torch._foreach_addcmul_(self._second, gradients, gradients, value=1 - settings.rho)
        denominators = torch._foreach_add(self._second, settings.epsilon)
        torch._foreach_sqrt_(denominators)
        if not settings.momentum:
            torch._foreach_addcdiv_(parameters, gradients, denominators, value=-rate)
            return
        torch._foreach_mul_(self._first, settings.momentum)
        torch._foreach_addcdiv_(self._first, gradients, denominators, value=rate)
        torch._foreach_sub_(parameters, self._first)


def load_images(path: str, dtype: torch.dtype) -> torch.Tensor:
    """Images scaled to [0, 1], channels first: (N, C, H, W)."""
    images = torch.from_numpy(np.load(path)).permute(0, 3, 1, 2)
    return images.to(dtype, memory_format=torch.contiguous_format).div_(255)


def _unchanged(values: np.ndarray) -> np.ndarray:
    return values


def _kernel_first(kernel: np.ndarray) -> np.ndarray:
    """HWIO to PyTorch's OIHW."""
    return kernel.transpose(3, 2, 0, 1)


def _kernel_last(kernel: np.ndarray) -> np.ndarray:
    """PyTorch's OIHW to HWIO."""
    return kernel.transpose(2, 3, 1, 0)


def _dense_layouts(rows: np.ndarray | None) -> tuple[Callable, Callable]:
    """(D, K) to PyTorch's (K, D) and back, the rows in the order given."""
    if rows is None:
        return np.transpose, np.transpose
    inverse = np.argsort(rows)
    return (lambda kernel: kernel[rows].T), (lambda kernel: kernel.T[inverse])
