"""A training step, eagerly: myad against PyTorch, on one core.

    python benchmarks/eager.py [--seconds 2]

Each network is trained by both with the same weights on the same batches. Measuring alternates
between the two in short turns, so that a change of the machine's speed meets both; printed is the
median time of a step over all turns, and the ratio. PyTorch is an extra (`pip install torch`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import myad

LAYERS = {
    "paper": [
        myad.Conv2D(1, 3, activation="relu"),
        myad.MaxPool2D(2),
        myad.Flatten(),
        myad.Dense(10, activation="softmax"),
    ],
    "lenet5": [
        myad.Conv2D(6, 5, padding="same", activation="relu"),
        myad.MaxPool2D(2),
        myad.Conv2D(16, 5, activation="relu"),
        myad.MaxPool2D(2),
        myad.Flatten(),
        myad.Dense(120, activation="relu"),
        myad.Dense(84, activation="relu"),
        myad.Dense(10, activation="softmax"),
    ],
}
# network, batch size, what is aimed at: PyTorch's time over ours
CELLS = [("paper", 1, 5.0), ("paper", 32, 1.5), ("lenet5", 32, 1.0)]
RATE = 0.001
TURNS = 15


def myad_step(layers: list, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """A function that trains one step and returns the loss."""
    model = myad.Sequential(layers, (28, 28, 1))
    optimizer = myad.SGD(learning_rate=RATE)
    step = myad.training_step(model, "sparse_categorical_crossentropy", optimizer)
    parameters = model.parameters
    state = optimizer.init({name: parameters[name] for name in model.trainable})

    def run() -> float:
        nonlocal parameters, state
        loss, parameters, state = step(parameters, state, images, labels)
        return float(loss)

    return run


def torch_step(layers: list, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """The same with PyTorch, as its users write it."""
    import torch

    torch.set_num_threads(1)
    modules: list[torch.nn.Module] = []
    shapes = myad.Sequential(layers, (28, 28, 1)).shapes
    for layer, shape in zip(layers, shapes, strict=False):
        if isinstance(layer, myad.Conv2D):
            padding = 2 if layer.padding == "same" else 0
            modules += [
                torch.nn.Conv2d(shape[2], layer.filters, layer.kernel_size, padding=padding),
                torch.nn.ReLU(),
            ]
        elif isinstance(layer, myad.MaxPool2D):
            modules.append(torch.nn.MaxPool2d(layer.pool_size))
        elif isinstance(layer, myad.Flatten):
            modules.append(torch.nn.Flatten())
        else:
            modules.append(torch.nn.Linear(shape[0], layer.units))
            modules += [torch.nn.ReLU()] if layer.activation == "relu" else []
    model = torch.nn.Sequential(*modules)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    criterion = torch.nn.CrossEntropyLoss()
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(labels.astype(np.int64))

    def run() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def time_turns(steps: dict[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """Median seconds per step of each, measured in turns of about `seconds` / TURNS."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    counts = {}
    for name, step in steps.items():
        for _ in range(20):
            step()
        start = time.perf_counter()
        for _ in range(20):
            step()
        counts[name] = max(1, int(seconds / TURNS * 20 / (time.perf_counter() - start)))
    for _ in range(TURNS):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                step()
            found[name].append((time.perf_counter() - start) / counts[name])
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Measure every cell and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="per engine and cell")
    seconds = parser.parse_args().seconds
    myad.keep_freed_memory()  # as fit does; it helps PyTorch, in the same process, as well
    rng = np.random.default_rng(0)
    print("network  batch  myad, µs  PyTorch, µs  ratio   aim")
    for network, batch, aim in CELLS:
        images = rng.random((batch, 28, 28, 1), dtype=np.float32)
        labels = rng.integers(0, 10, batch).astype(np.uint8)
        layers = LAYERS[network]
        steps = {
            "myad": myad_step(layers, images, labels),
            "torch": torch_step(layers, images, labels),
        }
        times = time_turns(steps, seconds)
        ratio = times["torch"] / times["myad"]
        print(
            f"{network:8} {batch:5} {times['myad'] * 1e6:9.1f} {times['torch'] * 1e6:12.1f}"
            f" {ratio:6.2f} {aim:5.1f}"
        )


if __name__ == "__main__":
    main()
