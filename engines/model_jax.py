"""The workload's network as JAX functions: forward, loss, update, one epoch as one `lax.scan`.

Importing this module imports JAX; the engine does so in its `import` phase, after it has limited
the threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from harness.contract import Layer, Training, Unsupported, Workload

Params = dict[str, jax.Array]
ACTIVATIONS: dict[str, Callable] = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "softmax": jax.nn.softmax,
}


def forward(workload: Workload, rules: dict[str, Callable] | None = None) -> Callable:
    """A function (params, images (B, H, W, C), key) -> logits (B, K); key None: not training.

    The last layer's softmax is left out: the loss takes logits, and a class is their argmax.

    Args:
        workload: holds the layers.
        rules: how to compute a layer, by type; LAYERS by default.
    Raises: Unsupported naming the first layer that is not known here.
    """
    layers = workload.model.layers
    rules = rules or LAYERS
    for index, layer in enumerate(layers):
        if layer.type not in rules:
            raise Unsupported(f"layer {index} ('{layer.type}')")

    def apply(params: Params, x: jax.Array, key: jax.Array | None) -> jax.Array:
        for index, layer in enumerate(layers):
            layer_key = _fold(key, index)
            with jax.named_scope(f"layer{index}"):  # what its operations are called in a profile
                x = rules[layer.type](layer, _own(params, index), x, layer_key)
                if index < len(layers) - 1 and "activation" in layer:
                    x = ACTIVATIONS[layer.activation](x)
        return x

    return apply


def loss_of(apply: Callable) -> Callable:
    """Mean sparse categorical cross-entropy of a batch, from logits."""

    def loss(params: Params, x: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
        logits = apply(params, x, key)
        with jax.named_scope("loss"):
            log_p = jax.nn.log_softmax(logits)
            return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None].astype(jnp.int32), axis=1))

    return loss


def init_state(training: Training, params: Params) -> dict[str, Any]:
    """The optimizer's state before the first step: nothing for plain gradient descent."""
    if training.optimizer not in ("sgd", "adam", "rmsprop"):
        raise Unsupported(f"optimizer '{training.optimizer}'")
    if training.optimizer == "adam":
        return {"m": _zeros(params), "v": _zeros(params), "t": jnp.zeros((), jnp.int32)}
    velocity = {"velocity": _zeros(params)} if training.momentum else {}
    return {**velocity, "v": _zeros(params)} if training.optimizer == "rmsprop" else velocity


def epoch_keys(workload: Workload, seed: int) -> list[jax.Array | None]:
    """A random key per epoch where a layer draws, else None: keys cost compilation too."""
    if all(layer.type != "dropout" for layer in workload.model.layers):
        return [None] * workload.training.epochs
    return list(jax.random.split(jax.random.key(seed), workload.training.epochs))


def update(
    training: Training, params: Params, grads: Params, state: dict, rate: Any
) -> tuple[Params, dict]:
    """One step of the optimizer, in Keras' form, with the learning rate of that step."""
    if training.weight_decay:
        params = {n: p - p * (training.weight_decay * rate) for n, p in params.items()}
    rules = {"adam": _adam, "rmsprop": _rmsprop, "sgd": _sgd}
    return rules[training.optimizer](training, params, grads, state, rate)


def epoch_function(workload: Workload, rules: dict[str, Callable] | None = None) -> Callable:
    """A function (carry, images, labels, order, key, rates) -> (carry, mean loss) for one epoch.

    carry is (params, optimizer state). Images are uint8 (N, H, W, C) and stay so until a step
    reads its batch; order is int32 (N,), or None for the images' own order; rates are (steps,), or
    None for the workload's constant one. The short last batch is a step of its own after the scan,
    so that its shape is static too.
    """
    training = workload.training
    batch = training.batch_size
    gradient = jax.value_and_grad(loss_of(forward(workload, rules)))

    def step(carry: tuple, x: jax.Array, labels: jax.Array, key: Any, rate: Any) -> tuple:
        params, state = carry
        value, grads = gradient(params, scale(x, training.dtype), labels, key)
        with jax.named_scope("update"):
            return update(training, params, grads, state, rate), value

    def epoch(carry: tuple, images: Any, labels: Any, order: Any, key: Any, rates: Any) -> tuple:
        examples = len(labels)
        whole = examples // batch

        def take(start: Any, size: int) -> tuple[jax.Array, jax.Array]:
            if order is None:
                return (
                    lax.dynamic_slice_in_dim(images, start, size),
                    lax.dynamic_slice_in_dim(labels, start, size),
                )
            chosen = lax.dynamic_slice_in_dim(order, start, size)
            return images[chosen], labels[chosen]

        def rate(index: Any) -> Any:
            return training.learning_rate if rates is None else rates[index]

        def body(carry: tuple, index: jax.Array) -> tuple:
            return step(carry, *take(index * batch, batch), _fold(key, index), rate(index))

        scanned: tuple = lax.scan(body, carry, jnp.arange(whole))
        carry, total = scanned[0], jnp.sum(scanned[1]) * batch
        if examples % batch:
            rest = examples % batch
            last = step(carry, *take(whole * batch, rest), _fold(key, whole), rate(whole))
            carry, total = last[0], total + last[1] * rest
        return carry, total / examples

    return epoch


def classifier(workload: Workload, rules: dict[str, Callable] | None = None) -> Callable:
    """A function (params, images uint8 (N, H, W, C)) -> classes uint8 (N,), batch by batch."""
    apply = forward(workload, rules)
    batch = workload.testing.batch_size

    def classes(params: Params, x: jax.Array) -> jax.Array:
        logits = apply(params, scale(x, workload.training.dtype), None)
        return jnp.argmax(logits, axis=1).astype(jnp.uint8)

    def classify(params: Params, images: jax.Array) -> jax.Array:
        whole = len(images) // batch

        def body(carry: None, index: jax.Array) -> tuple:
            part = lax.dynamic_slice_in_dim(images, index * batch, batch)
            return carry, classes(params, part)

        found: jax.Array = lax.scan(body, None, jnp.arange(whole))[1].reshape(-1)
        if len(images) % batch:
            found = jnp.concatenate([found, classes(params, images[whole * batch :])])
        return found

    return classify


def scale(x: jax.Array, dtype: str) -> jax.Array:
    """uint8 images to [0, 1]."""
    return x.astype(dtype) / 255


def _sgd(
    training: Training, params: Params, grads: Params, state: dict, rate: Any
) -> tuple[Params, dict]:
    """v ← μv − αg, θ ← θ + v; Nesterov's: θ ← θ + μv − αg."""
    steps = {n: rate * g for n, g in grads.items()}
    if not training.momentum:
        return {n: p - steps[n] for n, p in params.items()}, state
    velocity = {n: training.momentum * v - steps[n] for n, v in state["velocity"].items()}
    moved = velocity
    if training.nesterov:
        moved = {n: training.momentum * v - steps[n] for n, v in velocity.items()}
    return {n: p + moved[n] for n, p in params.items()}, {"velocity": velocity}


def _rmsprop(
    training: Training, params: Params, grads: Params, state: dict, rate: Any
) -> tuple[Params, dict]:
    """v ← ρv + (1−ρ)g², d = αg/√(v + ε), m ← μm + d, θ ← θ − m (Hinton 2012, lecture 6e)."""
    rho = training.rho
    v = {n: rho * s + (1 - rho) * grads[n] ** 2 for n, s in state["v"].items()}
    moved = {n: rate * g / jnp.sqrt(v[n] + training.epsilon) for n, g in grads.items()}
    if not training.momentum:
        return {n: p - moved[n] for n, p in params.items()}, {"v": v}
    velocity = {n: training.momentum * m + moved[n] for n, m in state["velocity"].items()}
    return {n: p - velocity[n] for n, p in params.items()}, {"v": v, "velocity": velocity}


def _adam(
    training: Training, params: Params, grads: Params, state: dict, rate: Any
) -> tuple[Params, dict]:
    """α_t = α·√(1−β₂ᵗ)/(1−β₁ᵗ), θ ← θ − α_t·m/(√v + ε) (Kingma & Ba 2015, before §2.1)."""
    b1, b2 = training.beta_1, training.beta_2
    t = state["t"] + 1
    m = {n: s + (grads[n] - s) * (1 - b1) for n, s in state["m"].items()}
    v = {n: s + (grads[n] ** 2 - s) * (1 - b2) for n, s in state["v"].items()}
    power = t.astype(training.dtype)
    rate = rate * jnp.sqrt(1 - b2**power) / (1 - b1**power)
    new = {n: p - rate * m[n] / (jnp.sqrt(v[n]) + training.epsilon) for n, p in params.items()}
    return new, {"m": m, "v": v, "t": t}


def _fold(key: jax.Array | None, number: Any) -> jax.Array | None:
    return None if key is None else jax.random.fold_in(key, number)


def _zeros(params: Params) -> Params:
    return {name: jnp.zeros_like(value) for name, value in params.items()}


def _own(params: Params, index: int) -> Params:
    """The parameters of one layer, by their short names."""
    found = {}
    for part in ("kernel", "bias"):
        if f"{index}.{part}" in params:
            found[part] = params[f"{index}.{part}"]
    return found


def _conv2d(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    z = lax.conv_general_dilated(
        x,
        own["kernel"],
        layer.strides,
        layer.pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return z + own["bias"] if layer.use_bias else z


def _conv2d_by_shifts(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    """The same convolution as shifted views of the image, and a matrix product where it is one.

    XLA's CPU convolution, and its gradient above all, is slow on few channels.
    """
    x = jnp.pad(x, [(0, 0), *layer.pads, (0, 0)])
    kernel = own["kernel"]
    height, width, _ = layer.output_shape
    (sh, sw), (kh, kw) = layer.strides, kernel.shape[:2]
    views = [
        x[:, i : i + (height - 1) * sh + 1 : sh, j : j + (width - 1) * sw + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    if kernel.shape[2:] == (1, 1):
        z = sum(view * w for view, w in zip(views, kernel.reshape(-1), strict=True))
    else:
        z = jnp.concatenate(views, axis=-1) @ kernel.reshape(-1, layer.filters)
    return z + own["bias"] if layer.use_bias else z


def _dense(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    z = x @ own["kernel"]
    return z + own["bias"] if layer.use_bias else z


def _window(layer: Layer) -> tuple[tuple, tuple, tuple]:
    return (1, *layer.pool_size, 1), (1, *layer.strides, 1), ((0, 0), *layer.pads, (0, 0))


def _max_pool(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, *_window(layer))


def _average_pool(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    sums = lax.reduce_window(x, 0.0, lax.add, *_window(layer))
    if layer.padding == "valid":
        return sums / math.prod(layer.pool_size)
    # what lies outside the image is not counted
    return sums / lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, *_window(layer))


def _dropout(layer: Layer, own: Params, x: jax.Array, key: Any) -> jax.Array:
    if key is None:
        return x
    keep = 1 - layer.rate
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


LAYERS: dict[str, Callable] = {
    "conv2d": _conv2d,
    "max_pooling2d": _max_pool,
    "average_pooling2d": _average_pool,
    "flatten": lambda layer, own, x, key: x.reshape(len(x), -1),
    "dense": _dense,
    "dropout": _dropout,
    "activation": lambda layer, own, x, key: x,
}

# The same layers, with what a specialist in XLA's CPU back end would write differently.
TUNED_LAYERS = {**LAYERS, "conv2d": _conv2d_by_shifts}
