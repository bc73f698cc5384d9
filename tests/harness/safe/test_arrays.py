"""Arrays are read up to what was agreed on, whatever their headers claim."""

import io
import os
import zipfile

import numpy as np
import pytest

from harness.safe.arrays import ArrayError, Unlike, map_npy, read_npy, read_npz
from harness.safe.files import Refused

CAP = 4096


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5, dtype=np.uint8),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3), np.int32),
        np.float64(3.5).reshape(()),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
    ],
)
def test_arrays_come_back_as_numpy_reads_them(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    for found in (read_npy(tmp_path / "a.npy", CAP), map_npy(tmp_path / "a.npy")):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    np.savez(tmp_path / "a.npz", x=array)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", {"x": CAP})["x"], array)


def header(text: str) -> bytes:
    content = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


DAMAGED = {
    "empty": b"",
    "no-array": b"hello",
    "version": b"\x93NUMPY\x09\x00" + bytes(100),
    "claims": header("{'descr': '|u1', 'fortran_order': False, 'shape': (10**12,), }"),
    "huge": header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "negative": header("{'descr': '|u1', 'fortran_order': False, 'shape': (-5,), }") + b"12345",
    "object": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + bytes(8),
    "fields": header("{'descr': [('a','<i4')], 'fortran_order': False, 'shape': (1,), }"),
    "nested": header("(" * 100 + ")" * 17),
    "code": header("{'descr': '|u1', 'fortran_order': exit(), 'shape': (1,), }") + b"1",
    "short": header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }") + bytes(20),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_array_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    for read in (lambda: read_npy(path, CAP), lambda: map_npy(path)):
        with pytest.raises(ArrayError) as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tail", [b"\n" + b" " * 60, b" " * 60 + b"\n"])
def test_a_header_that_numpy_repairs_is_read_without_a_warning(tmp_path, tail):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2L,), }" + tail
    size = len(header).to_bytes(2, "little")
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + size + header + b"\x07\x08")
    assert read_npy(path, 1000).tolist() == [7, 8]


def test_a_file_beyond_its_cap_is_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(CAP))
    with pytest.raises(Refused, match="larger than 4096 bytes"):
        read_npy(tmp_path / "a.npy", CAP)


def test_a_pipe_is_not_waited_at(tmp_path):
    os.mkfifo(tmp_path / "a")
    for read in (read_npy, read_npz):
        with pytest.raises(Refused, match="a named pipe"):
            read(tmp_path / "a", {"x": CAP} if read is read_npz else CAP)
    with pytest.raises(Refused, match="a named pipe"):
        map_npy(tmp_path / "a")


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def test_archives_of_other_names_or_sizes_are_unlike(tmp_path):
    content = io.BytesIO()
    np.save(content, np.zeros(10**6))
    bomb = archive(tmp_path / "bomb.npz", [("x.npy", content.getvalue())])
    with pytest.raises(Unlike, match="x unpacks to 8000128 bytes, more than 4096"):
        read_npz(bomb, {"x": CAP})
    with pytest.raises(Unlike, match="holds x; expected y"):
        read_npz(bomb, {"y": CAP})
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive(tmp_path / "twice.npz", [("x.npy", b""), ("x.npy", b"")])
    with pytest.raises(Unlike, match="a name twice"):
        read_npz(twice, {"x": CAP})


def test_an_archive_that_is_none_is_an_array_error(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(ArrayError, match=r"not a readable \.npz file"):
        read_npz(tmp_path / "a.npz", {"x": CAP})
