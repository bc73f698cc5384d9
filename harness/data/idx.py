"""The IDX format of MNIST and its relatives, plain or gzipped, read without trusting it.

Format: two zero bytes, a type code (0x08 = unsigned byte, the only one allowed here), the number of
dimensions, each dimension as a big-endian 32-bit integer, then the values in C order.
Source: http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from harness.errors import DataError

UNSIGNED_BYTE = 0x08
TYPE_NAMES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
MAX_BYTES = 4 << 30  # no data set of this harness comes near; a larger claim is a lying header
CHUNK = 1 << 20


def read_idx(path: Path, *, dimensions: int, sha256: str | None = None) -> np.ndarray:
    """Read an IDX or IDX.gz file of unsigned bytes.

    The file is read as a stream and never beyond the size its header announces, so a gzip bomb
    costs no more memory than the header admits, and that is capped at 4 GiB.

    Args:
        path: the file; gzip is recognised by its first two bytes, not by its name.
        dimensions: how many there must be (3 for images, 1 for labels).
        sha256: of the unpacked content, in hexadecimal; not checked when absent.
    Returns: uint8 array of the shape that the header gives.
    Raises: DataError naming the file, what is wrong, and what was expected.
    """
    try:
        with _open(path) as file:
            digest = hashlib.sha256()
            shape = _read_header(file, path, dimensions, digest)
            values = _read_values(file, path, shape, digest)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip: {error}. Fetch the file again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    if sha256 is not None and digest.hexdigest() != sha256:
        raise DataError(
            f"{path}: SHA-256 of the unpacked content is {digest.hexdigest()}, expected {sha256}. "
            "The file is not the published one; fetch it again."
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def check_labels(labels: np.ndarray, *, classes: int, images: int, path: Path) -> None:
    """Refuse labels that do not match the images or the number of classes."""
    if len(labels) != images:
        raise DataError(f"{path}: {len(labels)} labels for {images} images.")
    if labels.size and int(labels.max()) >= classes:
        place = int(np.argmax(labels >= classes))
        raise DataError(
            f"{path}: label {int(labels[place])} at position {place}, allowed 0 to {classes - 1}."
        )


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _read_header(
    file: IO[bytes], path: Path, dimensions: int, digest: "hashlib._Hash"
) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file: it starts with {magic.hex() or 'nothing'}.")
    if magic[2] != UNSIGNED_BYTE:
        found = TYPE_NAMES.get(magic[2], f"0x{magic[2]:02x}")
        raise DataError(f"{path}: values of type {found}, allowed: unsigned bytes (0x08).")
    if magic[3] != dimensions:
        raise DataError(f"{path}: {magic[3]} dimensions, expected {dimensions}.")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{path}: ends inside its header.")
    digest.update(magic + sizes)
    shape = struct.unpack(f">{dimensions}I", sizes)
    if np.prod(shape, dtype=object) > MAX_BYTES:
        raise DataError(f"{path}: header announces {shape}, more than {MAX_BYTES} bytes.")
    return shape


def _read_values(
    file: IO[bytes], path: Path, shape: tuple[int, ...], digest: "hashlib._Hash"
) -> bytes:
    expected = int(np.prod(shape, dtype=np.int64))
    values = bytearray()
    while len(values) < expected:
        chunk = file.read(min(CHUNK, expected - len(values)))
        if not chunk:
            raise DataError(
                f"{path}: {len(values)} values, but its header {shape} announces {expected}."
            )
        values += chunk
        digest.update(chunk)
    if file.read(1):
        raise DataError(f"{path}: data after the {expected} values that its header announces.")
    return bytes(values)
