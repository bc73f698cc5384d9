"""Fetching: mirrors on this machine's own loopback, checksums, downloads without an end."""

import dataclasses
import gzip
import hashlib
import http.server
import struct
import threading
from functools import partial

import numpy as np
import pytest

from harness.data import fetch as fetching
from harness.data.cache import CACHE_VARIABLE
from harness.data.convert import IDX_FILES, idx_arrays
from harness.data.fetch import FetchError, fetch
from harness.data.sources import SOURCES, Source
from harness.errors import DataError

COUNTS = {"train": 12, "test": 5}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word; /endless/ never stops sending."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if not self.path.startswith("/endless/"):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except (BrokenPipeError, ConnectionResetError):
            pass


@pytest.fixture
def served(tmp_path):
    """A folder and the address under which it can be fetched."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def idx(values: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.tobytes(), mtime=0)


@pytest.fixture
def source(served, tmp_path, monkeypatch):
    """The data set "small", published in the served folder, with a cache of its own."""
    folder, address = served
    rng, files = np.random.default_rng(1), {}
    for key, (stem, dimensions) in IDX_FILES.items():
        count = COUNTS[key.partition("_")[0]]
        shape = (count, 6, 5) if dimensions == 3 else (count,)
        content = idx(rng.integers(0, 10, shape, dtype=np.uint8))
        (folder / f"{stem}.gz").write_bytes(content)
        files[f"{stem}.gz"] = hashlib.sha256(content).hexdigest()
    small = Source("small", "", "", 10, (address,), files, idx_arrays, 1 << 20)
    monkeypatch.setitem(SOURCES, "small", small)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return small


def test_a_data_set_is_fetched_checked_and_stored(source):
    seen = []
    found = fetch("small", on_progress=lambda file, done, total: seen.append((done, total)))
    assert found.counts == COUNTS
    assert found.input_shape == (6, 5, 1)
    assert all(0 < done <= total for done, total in seen)


def test_what_is_here_already_is_not_fetched_again(source, served):
    fetch("small")
    for file in source.files:
        (served[0] / file).unlink()
    assert fetch("small").counts == COUNTS


def test_the_next_mirror_is_tried(source, served):
    found = fetch("small", mirrors=[f"{served[1]}nowhere", "http://127.0.0.1:9/"])
    assert found.counts == COUNTS


def test_another_file_than_the_published_is_refused(source, served):
    (served[0] / "train-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((12, 6, 5), np.uint8)))
    with pytest.raises(FetchError, match=r"images.*: not the published file \(SHA-256 differs\)"):
        fetch("small")


def test_no_mirror_that_answers(source, served, monkeypatch):
    (served[0] / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FetchError, match=r"'small' cannot be fetched.*404.*bench data import"):
        fetch("small")


def test_a_download_without_an_end_is_ended(source, served):
    (served[0] / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FetchError, match=r"endless/train-images.*: more than 1048576 bytes"):
        fetch("small", mirrors=[f"{served[1]}endless/"])


def test_an_unknown_name_lists_the_known(source):
    with pytest.raises(DataError, match="no data set 'mnits' to fetch; allowed: cifar-10, emnist-"):
        fetch("mnits")


def test_nothing_is_fetched_that_a_system_package_has(source, served, tmp_path, monkeypatch):
    here = dataclasses.replace(source, folders=(served[0],), mirrors=())
    monkeypatch.setitem(SOURCES, "small", here)
    monkeypatch.setattr(fetching, "_download", None)
    assert fetch("small").counts == COUNTS
    damaged = dataclasses.replace(here, contents={"train-images-idx3-ubyte": "0" * 64})
    monkeypatch.setitem(SOURCES, "small", damaged)
    with pytest.raises(DataError, match="SHA-256 of the unpacked content"):
        fetch("small")
