"""A small engine in NumPy: conv2d (valid, stride 1), 2x2 max pooling, flatten, dense, plain SGD.

    numpy_engine.py [--bug NAME] train|test --job JOB.json

It is honest without --bug; each bug is one plain mistake, for the tests of `bench verify`.
"""

import sys
import time
from functools import partial

import numpy as np

from harness.contract import Unsupported, run_engine


def windows(x, kernel):
    """(B, H', W', KH, KW, C) views of x."""
    view = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    return view.transpose(0, 1, 2, 4, 5, 3)


def forward(layers, params, x):
    """Logits, and what the backward pass needs of each layer."""
    kept = []
    for index, layer in enumerate(layers):
        kernel, bias = params.get(f"{index}.kernel"), params.get(f"{index}.bias")
        before = x
        if layer.type == "conv2d":
            x = np.tensordot(windows(x, kernel), kernel, 3) + bias
        elif layer.type == "max_pooling2d":
            height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
            parts = [x[:, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)]
            x = np.max(parts, axis=0)
            before = (before, np.argmax(parts, axis=0))
        elif layer.type == "flatten":
            x = x.reshape(len(x), -1)
        elif layer.type == "dense":
            x = x @ kernel + bias
        else:
            raise Unsupported(f"layer {index} ('{layer.type}')")
        if layer.get("activation") == "relu":
            x = np.maximum(x, 0)
        kept.append((before, x))
    return x, kept


def backward(layers, params, kept, dz):
    """Gradients by name."""
    grads = {}
    for index in reversed(range(len(layers))):
        layer, (before, after) = layers[index], kept[index]
        kernel = params.get(f"{index}.kernel")
        if layer.get("activation") == "relu":
            dz = dz * (after > 0)
        if layer.type == "conv2d":
            grads[f"{index}.kernel"] = np.tensordot(windows(before, kernel), dz, ([0, 1, 2],) * 2)
            grads[f"{index}.bias"] = dz.sum((0, 1, 2))
            edge = [(0, 0), (kernel.shape[0] - 1,) * 2, (kernel.shape[1] - 1,) * 2, (0, 0)]
            flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
            dz = np.tensordot(windows(np.pad(dz, edge), flipped), flipped, 3)
        elif layer.type == "max_pooling2d":
            images, winner = before
            dx = np.zeros_like(images)
            height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
            for place in range(4):
                dx[:, place // 2 : height : 2, place % 2 : width : 2] = dz * (winner == place)
            dz = dx
        elif layer.type == "flatten":
            dz = dz.reshape(before.shape)
        else:
            grads[f"{index}.kernel"] = before.T @ dz
            grads[f"{index}.bias"] = dz.sum(0)
            dz = dz @ kernel.T
    return grads


def rates_of(job, bug):
    """The rate of each step, (epochs, steps), as the job gives them."""
    rates, constant = np.load(job.data.learning_rates), job.workload.training.learning_rate
    if bug == "ignores-rates":
        return np.full_like(rates, constant)
    if bug == "first-rates":
        return rates[[0] * len(rates)]
    if bug == "late-rates":
        return np.concatenate([rates.ravel()[:1], rates.ravel()[:-1]]).reshape(rates.shape)
    return rates


def step(job, params, x, labels, bug, rate):
    """One update in place; returns the summed loss."""
    layers, settings = job.workload.model.layers, job.workload.training
    logits, kept = forward(layers, params, x)
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(x))
    dz = np.exp(log_p)
    dz[rows, labels] -= 1
    dz /= settings.batch_size if bug == "short-mean" else len(x)
    for name, gradient in backward(layers, params, kept, dz).items():
        if bug == "gradient" and name == "0.kernel":
            gradient = 1.01 * gradient
        if bug == "axes" and name == "0.kernel":
            gradient = gradient.swapaxes(0, 1)
        if bug == "flipped" and name == "0.kernel":
            gradient = gradient[::-1, ::-1]
        if bug == "no-bias" and name.endswith(".bias"):
            gradient = 0 * gradient
        params[name] -= rate * gradient
    return -log_p[rows, labels].sum() * (1.01 if bug == "loss" else 1)


def train(bug, job, report):
    settings = job.workload.training
    x = np.load(job.data.images).astype(settings.dtype) / np.asarray(255, settings.dtype)
    labels = np.load(job.data.labels)
    orders = np.load(job.data.order) if job.data.order else None
    rates = rates_of(job, bug) if job.data.learning_rates else None
    params = dict(np.load(job.initial_weights))
    if bug == "decay":
        params = {name: 0.999 * value for name, value in params.items()}
    with report.phase("train"):
        for epoch in range(settings.epochs):
            start, loss = time.perf_counter(), 0.0
            order = np.arange(len(x)) if orders is None else orders[epoch]
            if bug == "ignores-order":
                order = np.arange(len(x))
            elif bug == "backwards":
                order = order[::-1]
            elif bug == "first-order" and orders is not None:
                order = orders[0]
            for first in range(0, len(x), settings.batch_size):
                chosen = order[first : first + settings.batch_size]
                if bug == "drop" and len(chosen) < settings.batch_size and first:
                    continue
                rate = settings.learning_rate
                if rates is not None:
                    rate = rates[epoch, first // settings.batch_size]
                loss += step(job, params, x[chosen], labels[chosen], bug, rate)
            seconds = time.perf_counter() - start
            report.epoch(epoch + 1, seconds=seconds, loss=loss / len(x), examples=len(x))
    if bug == "late" and len(x) >= 12 * settings.batch_size:
        params["0.kernel"] *= 1 + 1e-6  # too little for float32 to tell
    if bug == "chaotic" and len(x) > 6 * settings.batch_size:
        # the end hangs on the eighth digit of the start, as in a network that magnifies rounding
        params["0.kernel"] += np.modf(1e8 * np.load(job.initial_weights)["0.kernel"])[0]
    np.savez(job.weights, **params)
    finish(job, report, params, settings.batch_size)


def test(bug, job, report):
    x = np.load(job.data.images).astype(np.float64) / 255
    params = dict(np.load(job.weights))
    with report.phase("test"):
        classes = forward(job.workload.model.layers, params, x)[0].argmax(1)
    if bug == "classes":
        classes[: len(classes) // 10] = 0
        classes[len(classes) // 10 : len(classes) // 5] = 1
    np.save(job.predictions, classes.astype(np.uint8))
    finish(job, report, params, job.workload.testing.batch_size)


def finish(job, report, params, batch_size):
    report.done(
        parameters=sum(value.size for value in params.values()),
        layers=[layer.type for layer in job.workload.model.layers],
        dtype=job.workload.training.dtype,
        batch_size=batch_size,
        threads=job.threads,
        versions={"numpy": np.__version__},
    )


if __name__ == "__main__":
    chosen = ""
    if sys.argv[1] == "--bug":
        chosen = sys.argv[2]
        del sys.argv[1:3]
    run_engine(train=partial(train, chosen), test=partial(test, chosen), protocol=2)
