"""From the files of a published data set to the four arrays of the cache, without trusting them."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from harness.data.idx import check_labels, read_idx
from harness.errors import DataError

CLASSES = 10
IDX_FILES = {
    "train_images": ("train-images-idx3-ubyte", 3),
    "train_labels": ("train-labels-idx1-ubyte", 1),
    "test_images": ("t10k-images-idx3-ubyte", 3),
    "test_labels": ("t10k-labels-idx1-ubyte", 1),
}
EMNIST_FILES = {
    key: stem.replace("t10k", "test") for key, (stem, _) in IDX_FILES.items()
}  # gzip/emnist-digits-train-images-idx3-ubyte.gz, …
CIFAR_ROW = 1 + 3 * 32 * 32  # a label, then the red, green and blue plane
CIFAR_ROWS = 10_000
COPY_CAP = 1 << 30


def idx_arrays(
    paths: Mapping[str, Path], contents: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Four IDX files named as MNIST's, gzipped or not. Raises: DataError.

    Args:
        paths: by file name.
        contents: SHA-256 of the unpacked files by name without ".gz"; not checked where absent.
    """
    arrays = {}
    for key, (stem, dimensions) in IDX_FILES.items():
        path = paths.get(f"{stem}.gz") or paths[stem]
        arrays[key] = read_idx(path, dimensions=dimensions, sha256=(contents or {}).get(stem))
    for part in ("train", "test"):
        path = paths.get(f"{IDX_FILES[f'{part}_labels'][0]}.gz") or Path(f"{part} labels")
        images = arrays[f"{part}_images"] = arrays[f"{part}_images"][..., np.newaxis]
        check_labels(arrays[f"{part}_labels"], classes=CLASSES, images=len(images), path=path)
    return arrays


def emnist_digits_arrays(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """EMNIST's digits out of `gzip.zip`. Its images are stored on their side and turned here."""
    (archive_path,) = paths.values()
    with tempfile.TemporaryDirectory() as folder:
        members = {}
        try:
            with zipfile.ZipFile(archive_path) as archive:
                for key, stem in EMNIST_FILES.items():
                    target = Path(folder) / f"{IDX_FILES[key][0]}.gz"
                    with archive.open(f"gzip/emnist-digits-{stem}.gz") as member:
                        _copy(member, target, archive_path)
                    members[target.name] = target
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise DataError(f"{archive_path}: damaged archive: {error}.") from error
        arrays = idx_arrays(members)
    for part in ("train", "test"):
        turned = arrays[f"{part}_images"].transpose(0, 2, 1, 3)
        arrays[f"{part}_images"] = np.ascontiguousarray(turned)
    return arrays


def cifar10_arrays(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """CIFAR-10's binary edition, out of its tar file; nothing is unpacked to disk."""
    (path,) = paths.values()
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    names = [(f"data_batch_{n}.bin", "train") for n in range(1, 6)] + [("test_batch.bin", "test")]
    try:
        with tarfile.open(path, "r:gz") as archive:
            for name, part in names:
                parts[part].append(_cifar_rows(archive, f"cifar-10-batches-bin/{name}", path))
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive: {error}.") from error
    arrays = {}
    for part, batches in parts.items():
        rows = np.concatenate(batches)
        planes = rows[:, 1:].reshape(-1, 3, 32, 32)
        arrays[f"{part}_images"] = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        arrays[f"{part}_labels"] = rows[:, 0].copy()
        check_labels(arrays[f"{part}_labels"], classes=CLASSES, images=len(rows), path=path)
    return arrays


def _cifar_rows(archive: tarfile.TarFile, name: str, path: Path) -> np.ndarray:
    expected = CIFAR_ROW * CIFAR_ROWS
    member = archive.extractfile(name)
    content = member.read(expected + 1) if member else b""
    if len(content) != expected:
        raise DataError(f"{path}: {name} has {len(content)} bytes or more, expected {expected}.")
    return np.frombuffer(content, np.uint8).reshape(CIFAR_ROWS, CIFAR_ROW)


def _copy(member: IO[bytes], target: Path, archive: Path) -> None:
    """Unpack one member, refusing what no data set holds."""
    written = 0
    with target.open("wb") as file:
        while chunk := member.read(1 << 20):
            written += len(chunk)
            if written > COPY_CAP:
                raise DataError(f"{archive}: unpacks to more than {COPY_CAP} bytes.")
            file.write(chunk)
