# ruff: noqa: PTH123, PTH109 (pathlib would double the start-up time)
"""An engine that does no work and misbehaves as told: engine.py BEHAVIOUR[:ARGUMENT] train --job J.

Standard library only, started with `python -I -S`, so that it is there in 20 ms. Without its
misbehaviour each would be a perfect engine: it reports what the job asks for, hands the starting
weights back as trained ones and predicts class 0 for every image.
"""

import ctypes
import json
import mmap
import os
import pickle
import shutil
import signal
import struct
import sys
import time


class Fake:
    """A job and the pieces of a perfect answer to it."""

    def __init__(self, job):
        self.job = job
        self.training = job["workload"]["training"]
        self.images = npy_length(job["data"]["images"])
        self.examples = self.images
        self.loss = 0.5
        self.epochs = self.training["epochs"]
        self.seconds = 0.001
        self.nonce = job["nonce"]
        self.predictions = bytes(self.images)
        self.done_extra = {}

    @property
    def is_train(self):
        return self.job["phase"] == "train"

    def finish(self):
        """Write all that a perfect engine writes."""
        self.results()
        self.report()

    def results(self):
        if self.is_train:
            shutil.copy(self.job["initial_weights"], self.job["weights"])
        else:
            write_npy(self.job["predictions"], self.predictions)

    def report(self):
        self.line({"event": "phase", "name": "import", "seconds": self.seconds})
        self.line({"event": "phase", "name": self.job["phase"], "seconds": self.seconds})
        if self.is_train:
            for epoch in range(1, self.epochs + 1):
                self.line(
                    {
                        "event": "epoch",
                        "epoch": epoch,
                        "seconds": self.seconds / self.epochs,
                        "loss": self.loss,
                        "examples": self.examples,
                    }
                )
        self.line(self.done())

    def done(self):
        settings = self.training if self.is_train else self.job["workload"]["testing"]
        return {
            "event": "done",
            "nonce": self.nonce,
            "parameters": parameters(self.job["workload"]["model"]),
            "layers": [layer["type"] for layer in self.job["workload"]["model"]["layers"]],
            "dtype": self.training["dtype"],
            "batch_size": settings["batch_size"],
            "threads": self.job["threads"],
            "versions": {"fake": "1"},
            **self.done_extra,
        }

    def line(self, event):
        self.raw(json.dumps(event) + "\n")

    def raw(self, text):
        with open(self.job["report"], "a") as file:
            file.write(text)


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


def flood(fake, size):
    chunk = b"x" * (1 << 20)
    for _ in range(int(size) >> 20 if fake.is_train else 0):
        os.write(1, chunk)
    fake.finish()


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


def nan_weights(fake, _):
    """Turn the last float of the weight file's first array into NaN, checksum and all."""
    import zipfile

    with zipfile.ZipFile(fake.job["initial_weights"]) as source:
        content = {name: bytearray(source.read(name)) for name in source.namelist()}
    content[next(iter(content))][-4:] = struct.pack("<f", float("nan"))
    with zipfile.ZipFile(fake.job["weights"], "w") as target:
        for name, values in content.items():
            target.writestr(name, bytes(values))
    fake.report()


def truncated_weights(fake, _):
    with open(fake.job["initial_weights"], "rb") as source:
        content = source.read()
    with open(fake.job["weights"], "wb") as target:
        target.write(content[: len(content) // 2])
    fake.report()


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


def sleep(fake, duration):
    fake.finish()
    time.sleep(float(duration))


def slow(fake, duration):
    time.sleep(float(duration))
    fake.finish()


def seeded(fake, duration):
    """Slow; what it predicts depends on the seed and the engine alone."""
    time.sleep(float(duration))
    seed = fake.job["seed"] + len(fake.job["engine"])
    fake.predictions = bytes((seed * 7 + index * index) % 10 for index in range(fake.images))
    fake.finish()


def touch(fake, megabytes):
    """Hold that much memory, every page of it used."""
    hold(int(megabytes))
    fake.finish()


def spike(fake, megabytes):
    """The same for 30 ms only."""
    memory = hold(int(megabytes))
    time.sleep(0.03)
    memory.close()
    fake.finish()


def children(fake, sizes):
    """Children that hold memory of their own at once: children:150,150."""
    pids = []
    for size in sizes.split(","):
        pids.append(os.fork())
        if pids[-1] == 0:
            memory = hold(int(size))
            time.sleep(0.6)
            memory.close()
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    fake.finish()


def sharing(fake, text):
    """Processes that share one piece of memory: sharing:4x200."""
    count, size = map(int, text.split("x"))
    memory = hold(size, shared=True)
    pids = []
    for _ in range(count - 1):
        pids.append(os.fork())
        if pids[-1] == 0:
            sum(memory[::4096])
            time.sleep(0.6)
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    fake.finish()


def burn(fake, duration):
    burn_cpu(float(duration))
    fake.finish()


def burn_in_orphan(fake, duration):
    """Let a process that nobody of the engine waits for use the CPU."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            burn_cpu(float(duration))
            os.write(write_end, b"x")
            os._exit(0)
        os._exit(0)
    os.read(read_end, 1)
    time.sleep(0.05)
    fake.finish()


def unpaid_child(fake, duration):
    """A child whose end is ignored is reaped by the kernel, and its CPU time is in no account."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        burn_cpu(float(duration))
        time.sleep(0.2)
        os._exit(0)
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    fake.finish()


def burn_cpu(duration):
    while time.process_time() < duration:
        pass


def hold(megabytes, *, shared=False):
    flags = mmap.MAP_ANONYMOUS | (mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
    memory = mmap.mmap(-1, megabytes << 20, flags=flags)
    block = b"\1" * (1 << 20)
    for _ in range(megabytes):
        memory.write(block)
    return memory


def npy_length(path):
    with open(path, "rb") as file:
        header = file.read(128).decode("latin-1")
    return int(header.split("'shape': (")[1].split(",")[0])


def write_npy(path, content, *, dtype="|u1", length=None):
    length = len(content) if length is None else length
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({length},), }}"
    header = header.ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content
        )


def parameters(model):
    """Parameters of a model made of flatten and dense layers, the only ones the tests use."""
    count, width = 0, 1
    for size in model["input_shape"]:
        width *= size
    for layer in model["layers"]:
        if layer["type"] == "dense":
            count += (width + 1) * layer["units"]
            width = layer["units"]
    return count


BEHAVIOURS = {name: value for name, value in list(globals().items()) if callable(value)}

if __name__ == "__main__":
    main()
