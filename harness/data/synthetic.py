"""A small colour data set, drawn from a fixed seed: what needs three channels needs no download."""

from __future__ import annotations

import numpy as np

NAME = "synthetic-colour"
CLASSES = 10
COUNTS = {"train": 8_000, "test": 2_000}
SIZE = 32
SEED = 20_240_101


def synthetic_colour() -> dict[str, np.ndarray]:
    """Ten classes of 32x32 RGB images: the class is the direction and width of coloured stripes.

    Colours, phase, noise and brightness are drawn anew for each image and say nothing of the class,
    so a network has to look at the pattern. Same seed, same bytes.
    """
    arrays = {}
    for stream, (part, count) in enumerate(COUNTS.items()):
        rng = np.random.Generator(np.random.PCG64([SEED, stream]))
        labels = rng.integers(0, CLASSES, count, dtype=np.uint8)
        arrays[f"{part}_images"] = _images(labels, rng)
        arrays[f"{part}_labels"] = labels
    return arrays


def _images(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (N, 32, 32, 3): stripes of two random colours, five directions by two widths."""
    count = len(labels)
    angle = (labels % 5) * (np.pi / 5) + rng.normal(0, 0.08, count)
    period = np.where(labels < 5, 6.0, 12.0) * rng.uniform(0.9, 1.1, count)
    phase = rng.uniform(0, 2 * np.pi, count)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    along = np.cos(angle)[:, None, None] * columns + np.sin(angle)[:, None, None] * rows
    wave = np.sin(2 * np.pi * along / period[:, None, None] + phase[:, None, None])
    share = (0.5 + 0.5 * wave)[..., None]
    first, second = rng.uniform(0, 255, (2, count, 1, 1, 3))
    image = share * first + (1 - share) * second + rng.normal(0, 25, (count, SIZE, SIZE, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
