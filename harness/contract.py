"""What an engine and the harness both speak: the job, the report, the two phases of a trial.

An engine is started as `… train --job JOB.json` and, later, `… test --job JOB.json`. A Python
engine gives two functions to `run_engine`; any other program reads the same JSON and appends the
same lines (docs/engines.md). This file uses the standard library only, and little of it: every
engine pays for its import.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

PROTOCOL = 1
PHASES = ("import", "load", "build", "compile", "train", "test", "save")

EXIT_USAGE = 2
EXIT_UNSUPPORTED = 69  # sysexits.h, EX_UNAVAILABLE: "this engine cannot run that workload"

_REQUIRED = object()
_NUMBER = (int, float)
Fields = dict[str, tuple[tuple[type, ...], Any]]


class ContractError(ValueError):
    """A job, or a use of the report, that breaks the contract between engine and harness."""


class Unsupported(Exception):
    """Raised by an engine for a workload it cannot run; the message names the layer or setting."""


class Layer(dict):
    """One entry of the model: a dictionary whose keys can be read as attributes.

    Pairs such as `kernel_size` are tuples, so that they can be used as static parameters. Every
    key of the workload format is present, with its default where the workload names none.
    """

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(
                f"layer '{self.get('type')}' has no '{key}'; it has: {', '.join(self)}"
            ) from None


class _Part:
    """A JSON object of the job, checked field by field against `_fields`."""

    # name: (allowed types, default or _REQUIRED); unknown names are kept out, not refused, so
    # that a later harness can tell an older engine more.
    _fields: ClassVar[Fields] = {}

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise ContractError(f"job: {where} must be an object, not {_kind(document)}.")
        for name, (types, default) in self._fields.items():
            value = document.get(name, default)
            if value is _REQUIRED:
                raise ContractError(f"job: {where}.{name} is missing.")
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                allowed = " or ".join(t.__name__ for t in types)
                raise ContractError(f"job: {where}.{name} must be {allowed}, not {_kind(value)}.")
            setattr(self, name, value)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self._fields)})"
        )


class Model(_Part):
    """The network: `input_shape` (H, W, C), `classes`, and `layers` in order."""

    input_shape: tuple[int, int, int]
    classes: int
    layers: tuple[Layer, ...]
    _fields: ClassVar[Fields] = {
        "input_shape": ((list, tuple), _REQUIRED),
        "classes": ((int,), _REQUIRED),
        "layers": ((list, tuple), _REQUIRED),
    }

    def __init__(self, document: Any, where: str) -> None:
        super().__init__(document, where)
        self.input_shape = tuple(self.input_shape)  # type: ignore[assignment]
        if len(self.input_shape) != 3:
            raise ContractError(f"job: {where}.input_shape must be [H, W, C].")
        self.layers = tuple(_layer(entry, i) for i, entry in enumerate(self.layers))


class Training(_Part):
    """How to train. `momentum` belongs to sgd; `beta_1`, `beta_2` and `epsilon` to adam."""

    optimizer: str
    learning_rate: float
    momentum: float
    beta_1: float
    beta_2: float
    epsilon: float
    epochs: int
    batch_size: int
    shuffle: bool
    dtype: str
    loss: str
    _fields: ClassVar[Fields] = {
        "optimizer": ((str,), _REQUIRED),
        "learning_rate": (_NUMBER, _REQUIRED),
        "momentum": (_NUMBER, 0.0),
        "beta_1": (_NUMBER, 0.9),
        "beta_2": (_NUMBER, 0.999),
        "epsilon": (_NUMBER, 1e-7),
        "epochs": ((int,), _REQUIRED),
        "batch_size": ((int,), _REQUIRED),
        "shuffle": ((bool,), False),
        "dtype": ((str,), "float32"),
        "loss": ((str,), "sparse_categorical_crossentropy"),
    }


class Testing(_Part):
    """How to test: images per call of the model."""

    batch_size: int
    _fields: ClassVar[Fields] = {"batch_size": ((int,), 1)}


class Workload:
    """Model, training and testing settings, fully resolved by the harness."""

    def __init__(self, document: Any) -> None:
        if not isinstance(document, dict):
            raise ContractError(f"job: workload must be an object, not {_kind(document)}.")
        self.name = str(document.get("name", ""))
        self.model = Model(document.get("model"), "workload.model")
        self.training = Training(document.get("training"), "workload.training")
        self.testing = Testing(document.get("testing", {}), "workload.testing")


class Data(_Part):
    """Absolute paths of `.npy` files: `images` uint8 (N, H, W, C); `labels` uint8 (N,), None in a
    test job; `order` int32 (epochs, N), None for the data set's order in every epoch."""

    images: str
    labels: str  # checked to be there in a train job; None in a test job
    order: str | None
    _fields: ClassVar[Fields] = {
        "images": ((str,), _REQUIRED),
        "labels": ((str, type(None)), None),
        "order": ((str, type(None)), None),
    }


class Job(_Part):
    """One process of a trial: what to do, on what, and where to put the results.

    `seed` is the block's seed, for whatever an engine draws by itself (dropout). `threads` is the
    number of threads it may compute with. `weights` is written by `train` and read by `test`.
    """

    phase: str
    engine: str
    nonce: str
    seed: int
    threads: int
    workload: Workload
    data: Data
    initial_weights: str  # checked to be there in a train job; else None
    weights: str
    predictions: str  # checked to be there in a test job; else None
    report: str
    _fields: ClassVar[Fields] = {
        "protocol": ((int,), _REQUIRED),
        "phase": ((str,), _REQUIRED),
        "engine": ((str,), ""),
        "nonce": ((str,), _REQUIRED),
        "seed": ((int,), 0),
        "threads": ((int,), 1),
        "workload": ((dict,), _REQUIRED),
        "data": ((dict,), _REQUIRED),
        "initial_weights": ((str, type(None)), None),
        "weights": ((str,), _REQUIRED),
        "predictions": ((str, type(None)), None),
        "report": ((str,), _REQUIRED),
    }

    def __init__(self, document: Any) -> None:
        super().__init__(document, "job")
        if document["protocol"] != PROTOCOL:
            raise ContractError(
                f"job: protocol {document['protocol']} is not spoken here; allowed: {PROTOCOL}."
            )
        if self.phase not in ("train", "test"):
            raise ContractError(f"job: phase must be 'train' or 'test', not '{self.phase}'.")
        self.workload = Workload(document["workload"])
        self.data = Data(document["data"], "data")
        needed = {"initial_weights": self.initial_weights, "data.labels": self.data.labels}
        if self.phase == "test":
            needed = {"predictions": self.predictions}
        for name, value in needed.items():
            if value is None:
                raise ContractError(f"job: a {self.phase} job needs {name}.")

    @classmethod
    def read(cls, path: str | Path) -> Job:
        """Read a job file. Raises: ContractError naming the field that is missing or wrong."""
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ContractError(f"job: cannot read {path}: {error}.") from error
        return cls(document)


class Report:
    """Appends the engine's events to the report file of its job, one JSON object per line."""

    def __init__(self, path: str | Path, nonce: str) -> None:
        self._path, self._nonce = Path(path), nonce
        self._open_phase: str | None = None
        self._seen: set[str] = set()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the work. Phases are not nested and each occurs at most once."""
        if name not in PHASES:
            raise ContractError(f"report: no phase '{name}'; allowed: {', '.join(PHASES)}.")
        if self._open_phase is not None:
            raise ContractError(f"report: phase '{name}' inside phase '{self._open_phase}'.")
        if name in self._seen:
            raise ContractError(f"report: phase '{name}' a second time.")
        self._open_phase = name
        self._seen.add(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._open_phase = None
        self._append({"event": "phase", "name": name, "seconds": seconds})

    def epoch(self, epoch: int, *, seconds: float, loss: float, examples: int) -> None:
        """Report one epoch: its number from 1, its time, its mean loss per example.

        A loss that is not finite is reported as it is; the harness then says `not_finite`.
        """
        self._append(
            {
                "event": "epoch",
                "epoch": int(epoch),
                "seconds": float(seconds),
                "loss": float(loss),
                "examples": int(examples),
            }
        )

    def done(
        self,
        *,
        parameters: int,
        layers: list[str],
        dtype: str,
        batch_size: int,
        threads: int,
        versions: dict[str, str],
    ) -> None:
        """Close the report with what was really done, as the engine's own objects say it.

        `batch_size` is the one used in this phase: training's in `train`, testing's in `test`.
        """
        self._append(
            {
                "event": "done",
                "nonce": self._nonce,
                "parameters": int(parameters),
                "layers": list(layers),
                "dtype": str(dtype),
                "batch_size": int(batch_size),
                "threads": int(threads),
                "versions": dict(versions),
            }
        )

    def _append(self, event: dict[str, Any]) -> None:
        # opened for each line: an engine that forks or changes its working folder keeps no handle
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def run_engine(
    *,
    train: Callable[[Job, Report], None],
    test: Callable[[Job, Report], None],
    argv: list[str] | None = None,
) -> None:
    """Do what the command line asks for: `train --job JOB.json` or `test --job JOB.json`.

    Exits 2 on wrong usage or a bad job and EXIT_UNSUPPORTED where the engine raises Unsupported;
    any other exception is left to Python, which prints it and exits 1.
    """
    arguments = sys.argv[1:] if argv is None else argv
    steps = {"train": train, "test": test}
    if len(arguments) != 3 or arguments[0] not in steps or arguments[1] != "--job":
        _leave("usage: train --job JOB.json | test --job JOB.json", EXIT_USAGE)
    try:
        job = Job.read(arguments[2])
        if job.phase != arguments[0]:
            raise ContractError(f"job: asked to {arguments[0]}, but the job says '{job.phase}'.")
    except ContractError as error:
        _leave(str(error), EXIT_USAGE)
    try:
        steps[job.phase](job, Report(job.report, job.nonce))
    except Unsupported as error:
        _leave(f"unsupported: {error}", EXIT_UNSUPPORTED)


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(code)


def _layer(entry: Any, index: int) -> Layer:
    where = f"job: workload.model.layers[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise ContractError(f"{where} must be an object with a 'type'.")
    return Layer({k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
