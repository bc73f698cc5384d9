"""Files are opened, made and removed without going through links and without waiting."""

import os

import pytest

from harness.safe import files
from harness.safe.files import Refused


@pytest.fixture
def place(tmp_path):
    """A folder with a file, a link to it, a pipe, a folder, and a link out of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("outside")
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "file").write_text("inside")
    (folder / "link").symlink_to(folder / "file")
    (folder / "folder").mkdir()
    (folder / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [("link", "a link"), ("pipe", "a named pipe"), ("folder", "a folder"), ("a\0b", "zero byte")],
)
def test_only_regular_files_are_read(place, name, reason):
    with pytest.raises(Refused) as caught:
        files.read(place / name, 100)
    assert reason in caught.value.strerror


def test_a_file_is_read_up_to_its_cap(place):
    assert files.read(place / "file", 6) == b"inside"
    assert files.tail(place / "file", 4) == b"side"
    with pytest.raises(Refused, match="larger than 5 bytes"):
        files.read(place / "file", 5)
    with pytest.raises(FileNotFoundError):
        files.read(place / "nothing", 5)


def test_a_link_that_a_person_named_is_followed_and_a_pipe_behind_it_is_not(place):
    assert files.read(place / "link", 100, follow=True) == b"inside"
    (place / "to-pipe").symlink_to(place / "pipe")
    with pytest.raises(Refused, match="a named pipe"):
        files.read(place / "to-pipe", 100, follow=True)


def test_no_folder_on_the_way_may_be_a_link(place):
    assert files.read(place / "out" / "file", 100) == b"outside"
    with pytest.raises(Refused, match="'out' is a link or a file"):
        files.read(place / "out" / "file", 100, below=place)
    with pytest.raises(Refused, match="not a plain name"):
        files.read(place / ".." / "outside" / "file", 100, below=place)


@pytest.mark.parametrize("name", ["file", "link", "pipe", "folder", "new"])
def test_a_new_file_takes_the_place_of_anything(place, name):
    with files.create(place / name, below=place) as file:
        file.write(b"new")
    assert files.read(place / name, 3) == b"new"
    assert (place / "file").read_text() == ("new" if name == "file" else "inside")


def test_replacing_a_link_leaves_its_target(place):
    files.replace(place / "link", b"new", sync=True)
    assert files.read(place / "link", 3) == b"new"
    assert (place / "file").read_text() == "inside"
    assert not [path for path in place.iterdir() if path.name.endswith(".tmp")]


def test_folders_are_made_and_links_among_them_refused(place):
    assert files.folder(place, "a", "b").is_dir()
    assert files.folder(place, "a", "b").is_dir()
    for parts in (("out", "b"), ("file",), ("..",), ("a/b",), ("",)):
        with pytest.raises(Refused):
            files.folder(place, *parts)
    assert [path.name for path in (place.parent / "outside").iterdir()] == ["file"]


def test_what_is_removed_lies_below_and_links_are_not_gone_through(place):
    (place / "folder" / "link").symlink_to(place.parent / "outside")
    for name in ("folder", "out", "pipe", "nothing"):
        files.remove(place, name)
    files.remove(place, "nothing", "below")
    with pytest.raises(Refused):
        files.remove(place)
    with pytest.raises(Refused):
        files.remove(place, "..", "outside")
    assert {path.name for path in place.iterdir()} == {"file", "link"}
    assert (place.parent / "outside" / "file").read_text() == "outside"


def test_what_is_there(place):
    assert files.is_regular(place / "file")
    assert files.is_folder(place / "folder")
    for name in ("link", "pipe", "out", "nothing", "a\0b"):
        assert not files.is_regular(place / name)
        assert not files.is_folder(place / name)
