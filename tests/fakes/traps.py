# ruff: noqa: PTH104, PTH118, PTH119, PTH120, PTH123, PTH211 (pathlib would double the start-up time)
"""Behaviours that leave something else than files behind, and a perfect answer otherwise."""

import contextlib
import json
import os
import socket


def replaced(fake, text):
    """Finish, then put something in the place of a file: replaced:report=fifo."""
    what, _, kind = text.partition("=")
    fake.finish()
    folder = os.path.dirname(fake.job["report"])
    place = {
        "report": fake.job["report"],
        "weights": fake.job["weights"] if fake.is_train else None,
        "predictions": fake.job["predictions"],
        "stdout": os.path.join(folder, "stdout.log"),
        "stderr": os.path.join(folder, "stderr.log"),
        "memory": os.path.join(folder, "memory.csv"),
    }[what]
    if place is not None:
        put(kind, place)


def put(kind, place):
    kept = place + ".kept"
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, kept)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        os.chdir(os.path.dirname(place))  # an address has room for some hundred letters
        socket.socket(socket.AF_UNIX).bind(os.path.basename(place))
    elif kind == "folder":
        os.mkdir(place)  # noqa: PTH102
    elif kind == "link":  # to what would have been right
        os.symlink(kept, place)
    elif kind == "sparse":
        with open(place, "wb") as file:
            file.truncate(1 << 40)
    else:
        os.symlink(kind, place)


def folder_for_link(fake, victim):
    """Put a link in the place of the folder that it runs in."""
    fake.finish()
    folder = os.path.dirname(fake.job["report"])
    os.rename(folder, folder + ".kept")
    os.symlink(victim, folder)


def cache_for_link(fake, victim):
    """Put a link in the place of its folder for caches."""
    fake.finish()
    cache = os.environ["XDG_CACHE_HOME"]
    if not os.path.islink(cache):  # noqa: PTH114
        os.rmdir(cache)  # noqa: PTH106
        os.symlink(victim, cache)


def link_in_advance(fake, text):
    """Put a link where the next trial's folder will be: link_in_advance:1-a=/victim."""
    trial, _, victim = text.partition("=")
    fake.finish()
    place = os.path.join(os.path.dirname(fake.job["report"]), "..", "..", trial)
    if not os.path.lexists(place) and fake.is_train:
        os.symlink(victim, place)


def many_digits(fake, name):
    """Report a number that is none of a computer's."""
    fake.done_extra = {name: 10**30}
    fake.finish()


def touch_everything(fake, path):
    """Try what a sandbox forbids and write into the own folder what of it was possible."""
    found = {"env": sorted(os.environ)}
    for name, tried in (("outside", path), ("system", "/etc/bench-was-here"), ("own", "mine")):
        try:
            with open(tried, "w") as file:
                file.write("written")
            found[name] = True
        except OSError:
            found[name] = False
    try:
        socket.create_connection(("127.0.0.1", int(os.path.basename(path).partition("-")[0])), 2)
        found["network"] = True
    except OSError:
        found["network"] = False
    found["processes"] = sum(name.isdecimal() for name in os.listdir("/proc"))  # noqa: PTH208
    with open("seen.json", "w") as file:
        json.dump(found, file)
    fake.finish()
