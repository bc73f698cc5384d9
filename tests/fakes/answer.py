# ruff: noqa: PTH123 (pathlib would double the start-up time)
"""What a perfect engine answers to a job, in pieces that a fake engine can spoil."""

import json
import os
import shutil
import struct


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
            if self.job["checkpoints"] is not None:
                for epoch in range(1, self.epochs + 1):
                    self.checkpoint(epoch)
            shutil.copy(self.job["initial_weights"], self.job["weights"])
        else:
            write_npy(self.job["predictions"], self.predictions)

    def checkpoint(self, epoch, content=None):
        """Leave weights after an epoch, whole."""
        unfinished = self.job["checkpoints"] + "/unfinished"
        shutil.copy(content or self.job["initial_weights"], unfinished)
        os.rename(unfinished, f"{self.job['checkpoints']}/{epoch}.npz")  # noqa: PTH104

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
