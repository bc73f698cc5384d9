"""IDX files that are wrong in every way the format allows."""

import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest

from harness.data import shipped
from harness.data.idx import check_labels, read_idx
from harness.errors import DataError


def idx(shape=(2, 3, 3), values=None, magic=None):
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    values = bytes(range(int(np.prod(shape)))) if values is None else values
    return magic + struct.pack(f">{len(shape)}I", *shape) + values


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_good_file_is_read(tmp_path, pack):
    path = tmp_path / "x"
    path.write_bytes(pack(idx()))
    found = read_idx(path, dimensions=3, sha256=hashlib.sha256(idx()).hexdigest())
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.arange(18, dtype=np.uint8).reshape(2, 3, 3))


WRONG = {
    "empty": (b"", "starts with nothing"),
    "magic": (idx(magic=b"PK\3\4"), "not an IDX file: it starts with 504b0304"),
    "floats": (idx(magic=b"\0\0\x0d\3"), "values of type float32, allowed: unsigned bytes"),
    "unknown-type": (idx(magic=b"\0\0\x77\3"), "values of type 0x77"),
    "dimensions": (idx((18,)), "1 dimensions, expected 3"),
    "cut-header": (idx()[:9], "ends inside its header"),
    "short": (idx()[:-1], "17 values, but its header (2, 3, 3) announces 18"),
    "trailing": (idx() + b"x", "data after the 18 values"),
    "lying": (idx((2**31, 2**31, 2**31), b"x" * 20), "more than 4294967296 bytes"),
    "larger-than-it-is": (idx((1000, 1000, 1000), b"x" * 20), "20 values, but its header"),
    "no-images": (idx((0, 3, 3), b"x"), "data after the 0 values"),
    "gzip-cut": (gzip.compress(idx())[:-9], "damaged gzip"),
    "gzip-crc": (gzip.compress(idx())[:-8] + b"\0" * 8, "damaged gzip"),
    "gzip-garbage": (b"\x1f\x8b" + b"x" * 40, "damaged gzip"),
    "gzip-trailing": (gzip.compress(idx() + b"x" * 100), "data after the 18 values"),
}


@pytest.mark.parametrize(("content", "complaint"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_refused_in_one_line(tmp_path, content, complaint):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, dimensions=3)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_checksum_is_compared(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(idx())
    with pytest.raises(DataError, match=r"SHA-256 of the unpacked content is .*, expected 00"):
        read_idx(path, dimensions=3, sha256="00")


def test_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(idx() + bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="data after"):
        read_idx(path, dimensions=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        read_idx(tmp_path / "none", dimensions=3)


def test_labels_out_of_range(tmp_path):
    labels = np.array([1, 2, 10], np.uint8)
    with pytest.raises(DataError, match="label 10 at position 2, allowed 0 to 9"):
        check_labels(labels, classes=10, images=3, path=tmp_path)
    with pytest.raises(DataError, match="3 labels for 4 images"):
        check_labels(labels, classes=11, images=4, path=tmp_path)


def test_shipped_mnist_is_mnist():
    arrays = shipped.read_mnist()
    assert arrays["train_images"].shape == (60_000, 28, 28, 1)
    assert arrays["test_images"].shape == (10_000, 28, 28, 1)
    assert arrays["train_labels"][:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(arrays["test_labels"]).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_damaged_shipped_file_is_named(tmp_path):
    for path in shipped.FOLDER.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[100] ^= 1
    labels.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: SHA-256"):
        shipped.read_mnist(tmp_path)
