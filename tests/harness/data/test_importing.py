"""A user's own data: what is taken, how it is split, and what is refused."""

import struct

import numpy as np
import pytest
from PIL import Image

from harness.data.cache import CACHE_VARIABLE, load_array
from harness.data.importing import import_dataset
from harness.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def arrays(**changes) -> dict:
    """What an `.npz` of Keras' kind holds."""
    rng = np.random.default_rng(0)
    found = {
        "x_train": rng.integers(0, 256, (6, 4, 5), dtype=np.uint8),
        "y_train": np.arange(6) % 3,
        "x_test": rng.integers(0, 256, (3, 4, 5), dtype=np.uint8),
        "y_test": np.array([[0], [1], [2]]),
    }
    return {key: value for key, value in {**found, **changes}.items() if value is not None}


def test_an_npz_as_keras_has_them(tmp_path):
    np.savez_compressed(tmp_path / "mine.npz", **arrays())
    found = import_dataset("mine", tmp_path / "mine.npz")
    assert found.counts == {"train": 6, "test": 3}
    assert (found.input_shape, found.classes) == ((4, 5, 1), 3)
    assert np.array_equal(load_array(found.paths["train_images"])[..., 0], arrays()["x_train"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "has no .*; expected train_images, train_labels, .*or x_train, y_train"),
        ({"x_train": np.zeros((6, 4, 5))}, "train_images: float64, expected uint8 from 0 to 255"),
        ({"x_train": np.zeros((6, 20), np.uint8)}, r"train_images: shape \(6, 20\), expected"),
        ({"x_train": np.zeros((6, 9, 5), np.uint8)}, "training and test images differ in size"),
        ({"x_train": np.zeros((0, 4, 5), np.uint8)}, "train images are uint8"),
        ({"y_train": np.arange(5)}, r"train labels are uint8 \(5,\), expected uint8 \(6,\)"),
        ({"y_train": np.arange(6) - 1}, "train_labels: from -1 to 4, allowed 0 to 255"),
        ({"y_train": np.full(6, 256)}, "train_labels: from 256 to 256, allowed 0 to 255"),
        ({"y_train": np.zeros(6)}, "train_labels: float64 .*expected whole numbers"),
        ({"y_train": np.array([{}] * 6)}, "Object arrays cannot be loaded"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(tmp_path, changes, message):
    np.savez(tmp_path / "mine.npz", **arrays(**changes))
    with pytest.raises(DataError, match=message) as caught:
        import_dataset("mine", tmp_path / "mine.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"PK\x03\x04" + bytes(60)])
def test_a_damaged_npz_is_refused(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.npz: not a readable \.npz file"):
        import_dataset("mine", tmp_path / "mine.npz")


def write_idx(path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(head + values.tobytes())


def test_a_folder_of_idx_files_in_colour(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3), dtype=np.uint8)
    labels = np.array([0, 1, 1, 0], np.uint8)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx4-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    found = import_dataset("mine", tmp_path)
    assert found.input_shape == (3, 3, 3)
    assert np.array_equal(load_array(found.paths["test_images"]), images)


def test_an_idx_file_that_is_missing_is_named(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(DataError, match="no IDX file for train labels, test images, test labels"):
        import_dataset("mine", tmp_path)


def picture(path, value: int, size=(4, 3), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value, 0, 255) if mode == "RGB" else value).save(path)


def test_pictures_by_class_are_split_by_class(tmp_path):
    folder = tmp_path / "pictures"
    for name, count in (("cat", 10), ("dog", 5)):
        for n in range(count):
            picture(folder / name / f"{n:02}.png", n)
    found = import_dataset("mine", folder, test_share=0.2)
    assert found.counts == {"train": 12, "test": 3}
    assert (found.input_shape, found.classes) == ((3, 4, 3), 2)
    test_labels = load_array(found.paths["test_labels"])
    assert sorted(test_labels.tolist()) == [0, 0, 1]
    # the classes take turns
    assert load_array(found.paths["train_labels"])[:6].tolist().count(1) >= 2


def test_the_split_hangs_on_the_seed_alone(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("a", "b"):
        for n in range(20):
            picture(folder / name / f"{n:02}.png", n, mode="L")
    first, again = (import_dataset(name, folder, seed=4) for name in ("first", "again"))
    other = import_dataset("other", folder, seed=5)
    assert first.sha256 == again.sha256 != other.sha256
    assert first.input_shape == (3, 4, 1)


def test_train_and_test_folders_are_kept(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            for n in range(count):
                picture(tmp_path / "p" / part / name / f"{n}.bmp", n)
    assert import_dataset("mine", tmp_path / "p").counts == {"train": 6, "test": 4}


def damaged(folder):
    (folder / "a" / "1.png").write_bytes((folder / "a" / "1.png").read_bytes()[:40])


def other_size(folder):
    picture(folder / "b" / "1.png", 1, size=(5, 5))


def no_pictures(folder):
    (folder / "c").mkdir()


def one_class(folder):
    for path in (folder / "b").iterdir():
        path.unlink()
    (folder / "b").rmdir()


def no_picture_at_all(folder):
    (folder / "a" / "0.png").write_text("<svg onload='alert(1)'/>")


def a_bomb(folder):
    Image.new("1", (30_000, 30_000)).save(folder / "a" / "0.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, r"a/1\.png: not a readable picture: "),
        (other_size, r"b/1\.png: 5x5x3, but the first picture is 3x4x3; all have to be alike"),
        (no_pictures, r"/c: no pictures; allowed are \.bmp"),
        (one_class, "1 folders; expected four IDX files, or pictures in one folder per class"),
        (no_picture_at_all, r"a/0\.png: not a readable picture"),
        (a_bomb, r"a/0\.png: (not a readable picture|30000x30000 pixels)"),
    ],
)
def test_pictures_that_cannot_be_used_are_named(tmp_path, spoil, message):
    folder = tmp_path / "pictures"
    for name in ("a", "b"):
        for n in range(3):
            picture(folder / name / f"{n}.png", n)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        import_dataset("mine", folder)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "../x", "", ".hidden", "a/b", "x" * 65])
def test_a_name_that_is_taken_or_unsafe(tmp_path, name):
    with pytest.raises(DataError, match="allowed are 1 to 64 of A-Z a-z 0-9"):
        import_dataset(name, tmp_path)


def test_a_path_that_holds_nothing(tmp_path):
    with pytest.raises(DataError, match=r"neither a folder nor an \.npz file"):
        import_dataset("mine", tmp_path / "nowhere")
