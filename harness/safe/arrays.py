"""NumPy's files without trust: no pickles, and nothing larger than was agreed on.

A header may claim any shape; what it claims is held against the file's size before a byte of
memory is asked for.
"""

import math
import os
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from harness.safe import files
from harness.safe.text import flat

# What header texts make NumPy's reader raise.
HEADER_ERRORS = (
    ValueError,
    EOFError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RecursionError,
)
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What damaged or malicious archives make zipfile and its decompressors raise: beside its own error
# those of unknown methods, encryption, impossible numbers and streams that are no such stream.
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OverflowError,
)


class ArrayError(ValueError):
    """Not an array that may be read; the message says why, in one line."""


class Unlike(ArrayError):
    """Readable, but other arrays than were agreed on."""


def read_npy(path: Path, cap: int, *, below: Path | None = None) -> np.ndarray:
    """The array of an `.npy` file of at most `cap` bytes. Raises: ArrayError, OSError."""
    with files.open_regular(path, below=below) as file:
        size = os.fstat(file.fileno()).st_size
        if size > cap:
            raise files.Refused(f"larger than {cap} bytes", path)
        return _array(file, size)


def map_npy(path: Path) -> np.ndarray:
    """The array of an `.npy` file as a read-only map of it. Raises: ArrayError, OSError."""
    with files.open_regular(path) as file:
        shape, fortran, dtype = _header(file, os.fstat(file.fileno()).st_size)
        if not math.prod(shape):  # an empty file cannot be mapped
            return np.empty(shape, dtype)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def read_npz(
    path: Path, sizes: dict[str, int], *, below: Path | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` archive that holds exactly these names.

    Args:
        sizes: name -> most bytes that its array may unpack to, header included.
    Raises: ArrayError, OSError.
    """
    with files.open_regular(path, below=below) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, sizes)
                return {name: _member(archive, members[name]) for name in sizes}
        except ArrayError:
            raise
        except ARCHIVE_ERRORS as error:
            raise ArrayError(f"not a readable .npz file: {_words(error)}.") from None


def _members(archive: zipfile.ZipFile, sizes: dict[str, int]) -> dict[str, zipfile.ZipInfo]:
    """The members by name; refused are other names, any twice, and larger ones (archive bombs)."""
    names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
    if set(names) != set(sizes):
        found = _words(", ".join(sorted(set(names))) or "nothing")
        raise Unlike(f"holds {found}; expected {', '.join(sizes)}.")
    if len(names) > len(sizes):
        raise Unlike("holds a name twice.")
    members = dict(zip(names, archive.infolist(), strict=True))
    for name, info in members.items():
        if info.file_size > sizes[name]:
            raise Unlike(f"{name} unpacks to {info.file_size} bytes, more than {sizes[name]}.")
    return members


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:  # which gives no more than `file_size`, whatever is packed
        return _array(file, info.file_size)


def _array(file: IO[bytes], size: int) -> np.ndarray:
    """The array in a stream of `size` bytes in the `.npy` format."""
    shape, fortran, dtype = _header(file, size)
    wanted = math.prod(shape) * dtype.itemsize
    content = file.read(wanted)
    if len(content) != wanted:
        raise ArrayError("it ends before its array does.")
    flat = np.frombuffer(bytearray(content), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, number type; the stream then stands at the array."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ArrayError(f"version {version} of the .npy format is not read.")
        with warnings.catch_warnings():  # of files of Python 2, which are read as well
            warnings.simplefilter("ignore")
            shape, fortran, dtype = HEADERS[version](file)
    except ArrayError:
        raise
    except HEADER_ERRORS as error:
        raise ArrayError(f"not a readable .npy file: {_words(error)}.") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ArrayError(f"holds {_words(dtype)}, and not plain numbers.")
    if min(shape, default=0) < 0 or file.tell() + math.prod(shape) * dtype.itemsize > size:
        raise ArrayError(f"claims {dtype} {_words(shape)}, more than its {size} bytes hold.")
    return shape, bool(fortran), dtype


def _words(error: object) -> str:
    text = flat(error).rstrip(".")
    return text if len(text) <= 120 else text[:117] + "..."
