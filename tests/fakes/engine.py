# ruff: noqa: PTH100, PTH109, PTH120, PTH123 (pathlib would double the start-up time)
"""An engine that does no work and misbehaves as told: engine.py BEHAVIOUR[:ARGUMENT] train --job J.

Standard library only, started with `python -I -S`, so that it is there in 20 ms. Without its
misbehaviour each would be a perfect engine: it reports what the job asks for, hands the starting
weights back as trained ones and predicts class 0 for every image.
"""

import ctypes
import json
import os
import pickle
import shutil
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out

import loads
import traps
from answer import Fake, write_npy


def main():
    behaviour, _, argument = sys.argv[1].partition(":")
    with open(sys.argv[4]) as file:
        fake = Fake(json.load(file))
    BEHAVIOURS[behaviour](fake, argument)


def ok(fake, _):
    fake.finish()


def exit_after_report(fake, code):
    fake.finish()
    sys.exit(int(code))


def fail(fake, text):
    print(text, file=sys.stderr)
    sys.exit(1)


def segfault(fake, _):
    ctypes.string_at(0)


def abort(fake, _):
    os.abort()


def memory_error(fake, _):
    raise MemoryError("no room for the images")


def hang(fake, _):
    time.sleep(600)


def hang_printing(fake, _):
    while True:
        print("still busy " * 100, flush=True)


def hang_after_result(fake, _):
    fake.finish()
    time.sleep(600)


def ignore_term(fake, _):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    time.sleep(600)


def stop_itself(fake, _):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def daemon(fake, _):
    """Leave a process behind that has left session, group and parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    os.wait()
    fake.finish()


def keep_pipe(fake, _):
    """Exit while a child keeps standard output open and goes on writing."""
    fake.finish()
    if os.fork() == 0:
        while True:
            print("not done", flush=True)
            time.sleep(0.01)


def fork_many(fake, _):
    for _ in range(30):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(600)


def binary(fake, _):
    os.write(1, bytes(range(256)) * 64 + b"\x00\xff\xfe")
    os.write(2, b"\x1b[2J\xc3\x28\x00 the end\n")
    fake.finish()


def forge(fake, _):
    fake.nonce = "0" * 32
    fake.finish()


def loss(fake, text):
    fake.loss = None if text == "null" else float(text)
    fake.finish()


def nan_weights(fake, value, path=None, report=True):
    """Turn the last float of the weight file's first array into NaN, checksum and all."""
    import zipfile

    with zipfile.ZipFile(fake.job["initial_weights"]) as source:
        content = {name: bytearray(source.read(name)) for name in source.namelist()}
    content[next(iter(content))][-4:] = struct.pack("<f", float(value or "nan"))
    with zipfile.ZipFile(path or fake.job["weights"], "w") as target:
        for name, values in content.items():
            target.writestr(name, bytes(values))
    if report:
        fake.report()


def truncated_weights(fake, _):
    with open(fake.job["initial_weights"], "rb") as source:
        content = source.read()
    with open(fake.job["weights"], "wb") as target:
        target.write(content[: len(content) // 2])
    fake.report()


def older(fake, _):
    """An engine that speaks protocol 1 only, and says so."""
    if fake.job["protocol"] > 1:
        print("unsupported: job: protocol 2 is not spoken here; allowed: 1.", file=sys.stderr)
        sys.exit(69)
    fake.finish()


def ignorant(fake, _):
    """An engine that has never heard of protocols."""
    fake.job["checkpoints"] = None
    fake.finish()


def checkpoints(fake, kind):
    """Leave the weights after each epoch in a wrong way."""
    if not fake.is_train or fake.job["checkpoints"] is None:
        fake.finish()
        return
    folder, epochs = fake.job["checkpoints"], fake.epochs
    if kind == "few":
        fake.checkpoint(1)
    elif kind == "backwards":
        for epoch in range(epochs, 0, -1):
            fake.checkpoint(epoch)
            time.sleep(0.2)  # one after the other
    elif kind == "garbage":
        for epoch in range(1, epochs + 1):
            fake.checkpoint(epoch, fake.job["report"].replace("report.jsonl", "job.json"))
    elif kind == "other":
        other = folder + "/other"
        nan_weights(fake, 0.5, other, report=False)
        for epoch in range(1, epochs + 1):
            fake.checkpoint(epoch, other if epoch == epochs else None)
    elif kind == "link":
        for epoch in range(1, epochs + 1):
            os.symlink(fake.job["initial_weights"], f"{folder}/{epoch}.npz")  # noqa: PTH211
    elif kind == "gone":
        os.rmdir(folder)  # noqa: PTH106
    elif kind == "pipe":
        os.mkfifo(folder + "/1.npz")
    elif kind == "huge":
        with open(folder + "/large", "wb") as file:
            file.truncate(1 << 30)
        os.rename(folder + "/large", folder + "/1.npz")  # noqa: PTH104
    time.sleep(0.1)
    fake.job["checkpoints"] = None
    fake.finish()


def no_weights(fake, _):
    fake.report()


def seconds(fake, text):
    fake.seconds = float(text)
    fake.finish()


def percent(fake, _):
    fake.done_extra = {"accuracy": 97.5}
    fake.finish()


def done(fake, setting):
    """Report another value in the last line: done:threads=4."""
    name, _, value = setting.partition("=")
    fake.done_extra = {name: json.loads(value)}
    fake.finish()


def fewer_examples(fake, _):
    fake.examples -= 1
    fake.finish()


def fewer_epochs(fake, _):
    fake.epochs -= 1
    fake.finish()


def no_report(fake, _):
    fake.results()


def no_done(fake, _):
    fake.results()
    fake.line({"event": "phase", "name": "import", "seconds": 0.001})


def raw_report(fake, text):
    fake.results()
    fake.raw(text + "\n")
    fake.report()


def after_done(fake, _):
    fake.finish()
    fake.line({"event": "phase", "name": "save", "seconds": 0.001})


def report_flood(fake, _):
    line = "x" * (1 << 20)
    while True:
        fake.raw(line)


def no_predictions(fake, _):
    if fake.is_train:
        fake.results()
    fake.report()


def predictions(fake, kind):
    if fake.is_train:
        fake.finish()
        return
    path = fake.job["predictions"]
    if kind == "short":
        write_npy(path, bytes(fake.images - 1))
    elif kind == "class":
        write_npy(path, bytes([200]) * fake.images)
    elif kind == "floats":
        write_npy(path, bytes(4 * fake.images), dtype="<f4", length=fake.images)
    elif kind == "huge":
        write_npy(path, bytes(10_000_000))
    elif kind == "pickle":
        with open(path, "wb") as file:
            pickle.dump(Trap(), file)
    elif kind == "garbage":
        with open(path, "wb") as file:
            file.write(b"not an array")
    fake.report()


class Trap:
    """Runs when somebody unpickles it."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def change_surroundings(fake, _):
    os.umask(0o777)
    os.chdir("/")
    os.environ["OMP_NUM_THREADS"] = "64"
    os.umask(0o022)
    fake.finish()


def environment(fake, _):
    with open(fake.job["report"] + ".environment", "w") as file:
        json.dump({"env": dict(os.environ), "cwd": os.getcwd(), "flags": list(sys.flags)}, file)
    fake.finish()


def break_run(fake, path):
    """Delete something of the run's folder while the trial is going on."""
    fake.finish()
    shutil.rmtree(path, ignore_errors=True)


def profiled(fake, seconds):
    """Report one operation of so many microseconds; an epoch takes 500, one of a profiler 1,000."""
    if not fake.job["profile"]:
        fake.finish()
        return
    fake.results()
    fake.line({"event": "phase", "name": "train", "seconds": 0.003})
    for epoch in range(1, fake.epochs + 1):
        last = epoch == fake.epochs
        event = {"event": "epoch", "epoch": epoch, "seconds": 0.001 if last else 0.0005}
        fake.line({**event, "loss": 0.5, "examples": fake.examples})
    event = {"event": "ops", "name": "its own", "class": "matrix product", "pass": "forward"}
    event |= {"layer": 1, "calls": fake.job["profile"]["steps"], "seconds": 1e-6 * float(seconds)}
    fake.line({**event, "slices": [[0.0, 1e-4], [2e-4, 1e-4]]})
    fake.line(fake.done())


def misnamed(fake, word):
    """Report an operation of a class that there is not."""
    fake.line({"event": "ops", "name": "x", "class": word, "calls": 1, "seconds": 0.0})
    fake.finish()


BEHAVIOURS = {
    name: value
    for name, value in [*vars(loads).items(), *vars(traps).items(), *list(globals().items())]
    if callable(value)
}

if __name__ == "__main__":
    main()
