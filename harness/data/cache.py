"""Data sets as `.npy` files in the user's cache folder: written once, checked at each use.

A data set is a folder with four arrays and `dataset.json`, which is written last and holds the
SHA-256 of each array. Engines get the paths of the arrays; a workload's limits make shorter copies.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from filelock import FileLock

from harness.errors import DataError
from harness.safe.arrays import ArrayError, map_npy
from harness.safe.files import open_regular, read

CACHE_VARIABLE = "MYAD_BENCH_CACHE"
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
META = "dataset.json"
META_CAP = 1 << 20  # bytes
FORMAT = 1


@dataclass(frozen=True)
class DataSet:
    """A data set ready for engines.

    paths, sha256: of each of ARRAYS. counts: images per part ("train", "test").
    input_shape: (H, W, C). classes: number of labels.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    paths: dict[str, Path]
    sha256: dict[str, str]
    counts: dict[str, int]


def cache_folder() -> Path:
    """Where converted data sets lie: the user's cache folder, or $MYAD_BENCH_CACHE."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("myad-bench")


def dataset_folder(name: str) -> Path:
    """The folder of one data set in the cache."""
    return cache_folder() / name


def store(name: str, arrays: Mapping[str, np.ndarray], *, classes: int, source: str) -> DataSet:
    """Write a data set to the cache, atomically, and return it.

    Args:
        arrays: images uint8 (N, H, W, C) and labels uint8 (N,) under the names of ARRAYS.
        classes: how many; every label is below it.
        source: where the data came from, in words or as an address.
    Raises: DataError if the arrays do not fit together.
    """
    _check_arrays(name, arrays, classes)
    folder = dataset_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        files = {key: _write_array(folder / f"{key}.npy", arrays[key]) for key in ARRAYS}
        meta = {"format": FORMAT, "name": name, "classes": classes, "source": source}
        shape = list(arrays["train_images"].shape[1:])
        _write_text(folder / META, json.dumps({**meta, "input_shape": shape, "files": files}))
    return open_dataset(name)


def open_dataset(name: str) -> DataSet:
    """A data set of the cache, every byte of it checked.

    Raises: DataError if it is not there, of another format, or changed since it was stored.
    """
    folder = dataset_folder(name)
    try:
        meta = json.loads(read(folder / META, META_CAP))
        files, shape, classes = meta["files"], tuple(meta["input_shape"]), meta["classes"]
        counts = {part: files[f"{part}_images"]["shape"][0] for part in ("train", "test")}
        sha256 = {key: files[key]["sha256"] for key in ARRAYS}
    except FileNotFoundError as error:
        raise DataError(f"data set '{name}': not in {folder}.") from error
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError(f"{folder / META}: cannot be read: {error}. Delete the folder.") from error
    paths = {key: folder / f"{key}.npy" for key in ARRAYS}
    for key, path in paths.items():
        found = file_sha256(path)
        if found != sha256[key]:
            raise DataError(f"{path}: changed since it was stored (SHA-256 {found}); delete it.")
    return DataSet(name, shape, classes, paths, sha256, counts)


def cut(dataset: DataSet, *, train: int | None, test: int | None) -> DataSet:
    """The same data set with only the first `train` and `test` images, as files of their own.

    A limit of None, or one above what there is, keeps the whole part.
    """
    paths, sha256, counts = dict(dataset.paths), dict(dataset.sha256), dict(dataset.counts)
    for part, limit in (("train", train), ("test", test)):
        if limit is None or limit >= counts[part]:
            continue
        counts[part] = limit
        for key in (f"{part}_images", f"{part}_labels"):
            paths[key] = _cut_file(dataset.paths[key], dataset.sha256[key], limit)
            sha256[key] = file_sha256(paths[key])
    return DataSet(dataset.name, dataset.input_shape, dataset.classes, paths, sha256, counts)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises: DataError if it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def load_array(path: Path) -> np.ndarray:
    """Open a `.npy` file as a read-only map. Pickled content is refused.

    Raises: DataError.
    """
    try:
        return map_npy(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}.") from error
    except ArrayError as error:
        raise DataError(f"{path}: {error}") from error


def _cut_file(path: Path, sha256: str, limit: int) -> Path:
    # named after the content, so that a data set stored anew never meets an old cut
    target = path.parent / "cuts" / f"{path.stem}-{limit}-{sha256[:16]}.npy"
    target.parent.mkdir(exist_ok=True)
    expected = np.ascontiguousarray(load_array(path)[:limit])
    with FileLock(target.parent / ".lock"):
        if not _holds(target, expected):
            _write_array(target, expected)
    return target


def _holds(path: Path, expected: np.ndarray) -> bool:
    try:
        return path.exists() and bool(np.array_equal(load_array(path), expected))
    except DataError:
        return False  # damaged: it is written again


def _check_arrays(name: str, arrays: Mapping[str, np.ndarray], classes: int) -> None:
    if set(arrays) != set(ARRAYS):
        raise DataError(f"data set '{name}': has {sorted(arrays)}, expected {sorted(ARRAYS)}.")
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
            raise DataError(
                f"data set '{name}': {part} images are {images.dtype} {images.shape}, "
                "expected uint8 (N, H, W, C)."
            )
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise DataError(
                f"data set '{name}': {part} labels are {labels.dtype} {labels.shape}, "
                f"expected uint8 ({images.shape[0]},)."
            )
        if int(labels.max()) >= classes:
            raise DataError(
                f"data set '{name}': {part} label {int(labels.max())}, allowed 0 to {classes - 1}."
            )
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise DataError(f"data set '{name}': training and test images differ in size.")


def _write_array(path: Path, array: np.ndarray) -> dict[str, object]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return {"sha256": file_sha256(path), "shape": list(array.shape)}


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
