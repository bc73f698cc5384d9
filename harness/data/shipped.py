"""MNIST as it comes with the harness: four gzipped IDX files, converted once.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0.
"""

from pathlib import Path

import numpy as np

from harness.data.cache import DataSet, open_dataset, store
from harness.data.idx import check_labels, read_idx
from harness.errors import DataError

FOLDER = Path(__file__).parent / "mnist"
CLASSES = 10
# SHA-256 of the unpacked files: what is published, whatever gzip made of it.
SHA256 = {
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
}
FILES = {
    "train_images": ("train-images-idx3-ubyte", 3),
    "train_labels": ("train-labels-idx1-ubyte", 1),
    "test_images": ("t10k-images-idx3-ubyte", 3),
    "test_labels": ("t10k-labels-idx1-ubyte", 1),
}


def read_mnist(folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """The four arrays, images as uint8 (N, 28, 28, 1). Raises: DataError if a file is damaged."""
    arrays = {}
    for key, (stem, dimensions) in FILES.items():
        arrays[key] = read_idx(folder / f"{stem}.gz", dimensions=dimensions, sha256=SHA256[stem])
    for part in ("train", "test"):
        arrays[f"{part}_images"] = arrays[f"{part}_images"][..., np.newaxis]
        check_labels(
            arrays[f"{part}_labels"],
            classes=CLASSES,
            images=len(arrays[f"{part}_images"]),
            path=folder / f"{FILES[f'{part}_labels'][0]}.gz",
        )
    return arrays


def open_mnist() -> DataSet:
    """MNIST from the cache; converted first where it is not there, or is there but damaged."""
    try:
        return open_dataset("mnist")
    except DataError:
        return store("mnist", read_mnist(), classes=CLASSES, source="shipped with the harness")
