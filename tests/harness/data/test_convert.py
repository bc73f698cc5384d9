"""Archives of published data sets: turned, rearranged, and refused where damaged."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from harness.data import convert
from harness.data.convert import EMNIST_FILES, cifar10_arrays, emnist_digits_arrays
from harness.errors import DataError

ROWS = 20


def idx(values: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.tobytes())


def cifar(path, rows: int = ROWS, label: int = 3):
    """A small archive in CIFAR-10's binary layout: image n is red n, green n+1, blue n+2."""
    with tarfile.open(path, "w:gz") as archive:
        for name in [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]:
            content = b"".join(
                bytes([label]) + b"".join(bytes([n + c]) * 1024 for c in range(3))
                for n in range(rows)
            )
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return {path.name: path}


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    monkeypatch.setattr(convert, "CIFAR_ROWS", ROWS)


def test_cifar_planes_become_channels(tmp_path):
    arrays = cifar10_arrays(cifar(tmp_path / "c.tar.gz"))
    assert arrays["train_images"].shape == (5 * ROWS, 32, 32, 3)
    assert arrays["test_images"].shape == (ROWS, 32, 32, 3)
    assert arrays["train_images"][7, 0, 0].tolist() == [7, 8, 9]
    assert set(arrays["train_labels"]) == {3}


@pytest.mark.parametrize(
    ("rows", "label", "message"),
    [
        (ROWS - 1, 3, "data_batch_1.bin has 58387 bytes or more, expected 61460"),
        (ROWS + 1, 3, "data_batch_1.bin has 61461 bytes or more, expected 61460"),
        (ROWS, 10, "label 10 at position 0, allowed 0 to 9"),
    ],
)
def test_a_cifar_archive_of_another_size_is_refused(tmp_path, rows, label, message):
    with pytest.raises(DataError, match=message):
        cifar10_arrays(cifar(tmp_path / "c.tar.gz", rows, label))


def test_a_cut_cifar_archive_is_refused(tmp_path):
    paths = cifar(tmp_path / "c.tar.gz")
    content = (tmp_path / "c.tar.gz").read_bytes()
    (tmp_path / "c.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"c\.tar\.gz: damaged archive: "):
        cifar10_arrays(paths)


def emnist(path, images: np.ndarray):
    with zipfile.ZipFile(path, "w") as archive:
        for key, stem in EMNIST_FILES.items():
            labels = np.zeros(len(images), np.uint8)
            content = idx(images if key.endswith("images") else labels)
            archive.writestr(f"gzip/emnist-digits-{stem}.gz", content)
    return {path.name: path}


def test_emnist_digits_are_turned_upright(tmp_path):
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    arrays = emnist_digits_arrays(emnist(tmp_path / "gzip.zip", images))
    assert np.array_equal(arrays["train_images"][0, :, :, 0], images[0].T)
    assert arrays["test_labels"].tolist() == [0, 0]


def test_an_emnist_archive_without_its_digits_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        archive.writestr("gzip/other.gz", b"")
    with pytest.raises(DataError, match=r"damaged archive: .*emnist-digits-train-images"):
        emnist_digits_arrays({"gzip.zip": tmp_path / "gzip.zip"})


def test_an_archive_that_is_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "COPY_CAP", 100)
    paths = emnist(
        tmp_path / "gzip.zip", np.random.default_rng(0).integers(0, 256, (9, 9, 9), dtype=np.uint8)
    )
    with pytest.raises(DataError, match="unpacks to more than 100 bytes"):
        emnist_digits_arrays(paths)
