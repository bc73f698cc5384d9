"""Import a user's data: four IDX files, an `.npz`, or a folder of pictures sorted by class."""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache import ARRAYS, DataSet, store
from harness.data.idx import read_idx
from harness.data.local import NAME as SYNTHETIC
from harness.data.sources import SOURCES
from harness.errors import DataError
from harness.safe.files import open_regular
from harness.safe.text import flat

ALLOWED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = {"mnist", "downloads", SYNTHETIC, *SOURCES}
MAX_BYTES = 4 << 30
MAX_CLASSES = 256  # labels are one byte
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"}
FORMATS = ("PNG", "JPEG", "BMP", "PPM")
MAX_PIXELS = 4096 * 4096
# Names in `.npz` files: ours, and those of Keras' data sets.
NPZ_NAMES = dict(zip(ARRAYS, ("x_train", "y_train", "x_test", "y_test"), strict=True))
IDX_PATTERNS = {
    "train_images": ("train*images*", (3, 4)),
    "train_labels": ("train*labels*", (1,)),
    "test_images": ("t[e1]*images*", (3, 4)),
    "test_labels": ("t[e1]*labels*", (1,)),
}


def import_dataset(name: str, path: Path, *, test_share: float = 0.2, seed: int = 0) -> DataSet:
    """Check a user's data and store it in the cache under `name`.

    Args:
        path: an `.npz` file, or a folder with four IDX files, or one with a folder per class (or
            `train/` and `test/`, each with a folder per class).
        test_share: of each class, where pictures are not split into `train/` and `test/`.
        seed: of that split.
    Raises: DataError saying what is wrong and what is expected.
    """
    if not ALLOWED_NAME.fullmatch(name) or name in RESERVED:
        raise DataError(
            f"data set name '{name}': allowed are 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter "
            f"or digit, and none of {', '.join(sorted(RESERVED))}."
        )
    if path.is_file() and path.suffix == ".npz":
        arrays = _from_npz(path)
    elif path.is_dir():
        found = _idx_files(path)
        arrays = _from_idx(found) if found else _from_pictures(path, test_share, seed)
    else:
        raise DataError(f"{path}: neither a folder nor an .npz file.")
    labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    classes = int(labels.max(initial=0)) + 1
    return store(name, arrays, classes=max(classes, 2), source=f"imported from {path.name}")


def _from_idx(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    arrays = {}
    for key, path in files.items():
        dimensions = _idx_dimensions(path, IDX_PATTERNS[key][1])
        arrays[key] = read_idx(path, dimensions=dimensions)
    return {key: _with_channels(key, values) for key, values in arrays.items()}


def _idx_files(folder: Path) -> dict[str, Path]:
    """The four IDX files of a folder, {} if there is none, DataError if some are missing."""
    found = {}
    for key, (pattern, _) in IDX_PATTERNS.items():
        files = sorted(p for p in folder.glob(pattern) if p.is_file() and "idx" in p.name)
        if len(files) > 1:
            raise DataError(f"{folder}: {files[0].name} and {files[1].name}: keep one of them.")
        if files:
            found[key] = files[0]
    if found and len(found) < len(IDX_PATTERNS):
        missing = ", ".join(key.replace("_", " ") for key in IDX_PATTERNS if key not in found)
        raise DataError(
            f"{folder}: no IDX file for {missing}; expected names as MNIST's, such as "
            "train-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz."
        )
    return found


def _idx_dimensions(path: Path, allowed: tuple[int, ...]) -> int:
    import gzip

    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(4)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from error
    return head[3] if len(head) == 4 and head[3] in allowed else allowed[0]


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = NPZ_NAMES if set(NPZ_NAMES.values()) <= set(archive.files) else None
            names = names or {key: key for key in ARRAYS}
            missing = [name for name in names.values() if name not in archive.files]
            if missing:
                raise DataError(
                    f"{path}: has no {', '.join(missing)}; expected {', '.join(ARRAYS)} "
                    f"or {', '.join(NPZ_NAMES.values())}."
                )
            _refuse_bombs(path, archive.zip)
            arrays = {key: archive[name] for key, name in names.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise DataError(f"{path}: not a readable .npz file: {_one_line(error)}") from error
    return {key: _with_channels(key, values) for key, values in arrays.items()}


def _refuse_bombs(path: Path, archive: zipfile.ZipFile) -> None:
    size = sum(info.file_size for info in archive.infolist())
    if size > MAX_BYTES:
        raise DataError(f"{path}: unpacks to {size} bytes, more than {MAX_BYTES}.")


def _with_channels(key: str, values: Any) -> np.ndarray:
    """uint8 (N, H, W, C) images or (N,) labels; refuses what would have to be guessed at."""
    if not isinstance(values, np.ndarray):
        raise DataError(f"{key}: is no array.")
    if key.endswith("labels"):
        return _labels(key, values)
    if values.dtype != np.uint8:
        raise DataError(f"{key}: {values.dtype}, expected uint8 from 0 to 255.")
    if values.ndim == 3:
        return values[..., np.newaxis]
    if values.ndim != 4:
        raise DataError(f"{key}: shape {values.shape}, expected (N, H, W) or (N, H, W, C).")
    return values


def _labels(key: str, values: np.ndarray) -> np.ndarray:
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.dtype.kind not in "iu" or flat.ndim != 1 or not flat.size:
        raise DataError(f"{key}: {values.dtype} {values.shape}, expected whole numbers (N,).")
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= MAX_CLASSES:
        raise DataError(f"{key}: from {low} to {high}, allowed 0 to {MAX_CLASSES - 1}.")
    return flat.astype(np.uint8)


def _from_pictures(folder: Path, test_share: float, seed: int) -> dict[str, np.ndarray]:
    if not 0 < test_share < 1:
        raise DataError(f"--test-share {test_share}: allowed is a share between 0 and 1.")
    parts = [folder / "train", folder / "test"]
    if all(part.is_dir() for part in parts):
        names = _class_names(parts[0])
        train, test = (_files(part, names) for part in parts)
    else:
        names = _class_names(folder)
        train, test = _split(_files(folder, names), test_share, seed)
    arrays: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] | None = None
    for part, files in (("train", train), ("test", test)):
        images = []
        for path, _ in files:
            image = _picture(path)
            shape = shape or image.shape
            if image.shape != shape:
                raise DataError(
                    f"{path}: {_size(image.shape)}, but the first picture is {_size(shape)}; "
                    "all have to be alike."
                )
            images.append(image)
        arrays[f"{part}_images"] = np.stack(images)
        arrays[f"{part}_labels"] = np.array([label for _, label in files], np.uint8)
    return arrays


def _class_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(
            f"{folder}: {len(names)} folders; expected four IDX files, or pictures in one folder "
            f"per class (2 to {MAX_CLASSES} classes)."
        )
    return names


def _files(folder: Path, names: list[str]) -> list[tuple[Path, int]]:
    """Pictures and their classes, the classes taking turns so that no batch holds one alone."""
    extra = sorted({path.name for path in folder.iterdir() if path.is_dir()} - set(names))
    if extra:
        raise DataError(f"{folder}: class '{extra[0]}' is not among the training pictures.")
    rows = []
    for label, name in enumerate(names):
        inside = (folder / name).iterdir() if (folder / name).is_dir() else []
        files = sorted(path for path in inside if path.suffix.lower() in PICTURES)
        if not files:
            allowed = " ".join(sorted(PICTURES))
            raise DataError(f"{folder / name}: no pictures; allowed are {allowed}.")
        rows += [(turn, label, path) for turn, path in enumerate(files)]
    return [(path, label) for _, label, path in sorted(rows)]


def _split(files: list[tuple[Path, int]], share: float, seed: int) -> tuple[list, list]:
    """The same share of every class for testing, at least one picture of each on both sides."""
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen: set[Path] = set()
    for label in sorted({label for _, label in files}):
        own = [path for path, found in files if found == label]
        if len(own) < 2:
            raise DataError(f"{own[0].parent}: one picture; a class needs two or more.")
        count = min(max(math.floor(share * len(own)), 1), len(own) - 1)
        chosen |= {own[place] for place in rng.permutation(len(own))[:count]}
    train = [file for file in files if file[0] not in chosen]
    return train, [file for file in files if file[0] in chosen]


def _picture(path: Path) -> np.ndarray:
    """uint8 (H, W, 1) for grey pictures, (H, W, 3) for all others."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of bombs and of damaged pictures
            with (
                open_regular(path, follow=True) as file,
                Image.open(file, formats=FORMATS) as image,
            ):
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{path}: {image.width}x{image.height} pixels are too many.")
                grey = image.mode in ("1", "L")
                values = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture: {_one_line(error)}") from error
    return values[..., np.newaxis] if grey else values


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _one_line(error: BaseException) -> str:
    return flat(error)[:200]
