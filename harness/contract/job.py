"""The job of one process, read from JOB.json and checked field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

# 1: what every engine speaks. 2: the same and, where the workload asks for it, `learning_rates`,
# `checkpoints`, and the training settings `nesterov`, `weight_decay` and optimizer "rmsprop".
PROTOCOL = 2
_REQUIRED = object()
_NUMBER = (int, float)
Fields = dict[str, tuple[tuple[type, ...], Any]]


class ContractError(ValueError):
    """A job, or a use of the report, that breaks the contract between engine and harness."""


class UnknownProtocol(ContractError):
    """A job that asks for more than the engine knows."""


class Layer(dict):
    """One entry of the model: a dictionary whose keys can be read as attributes.

    Pairs such as `kernel_size` are tuples, so that they can be used as static parameters. Every
    key of the workload format is present, with its default where the workload names none; so are
    the sizes that the harness has worked out: `output_shape` of one image, and, of convolutions
    and poolings, `pads`, ((top, bottom), (left, right)), which is (0, 0) twice where `padding` is
    "valid". `settings` has the keys of the workload format alone.
    """

    type: str
    output_shape: tuple[int, ...]
    pads: tuple[tuple[int, int], tuple[int, int]]

    @property
    def settings(self) -> dict[str, Any]:
        """The layer as the workload describes it, without the sizes that follow from that."""
        return {key: value for key, value in self.items() if key not in ("output_shape", "pads")}

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
    """How to train. `momentum` belongs to sgd and rmsprop, `nesterov` to sgd, `beta_1` and `beta_2`
    to adam, `rho` to rmsprop, `epsilon` to adam and rmsprop. A job with `learning_rates` has the
    rate of every step there, and `learning_rate` is not used."""

    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    rho: float
    epsilon: float
    epochs: int
    batch_size: int
    shuffle: bool
    dtype: str
    loss: str
    _fields: ClassVar[Fields] = {
        "optimizer": ((str,), _REQUIRED),
        "learning_rate": (_NUMBER, _REQUIRED),
        "weight_decay": (_NUMBER, 0.0),
        "momentum": (_NUMBER, 0.0),
        "nesterov": ((bool,), False),
        "beta_1": (_NUMBER, 0.9),
        "beta_2": (_NUMBER, 0.999),
        "rho": (_NUMBER, 0.9),
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
    test job; `order` int32 (epochs, N), None for the data set's order in every epoch;
    `learning_rates` in the workload's dtype (epochs, steps of an epoch), None for a rate that is
    constant."""

    images: str
    labels: str  # checked to be there in a train job; None in a test job
    order: str | None
    learning_rates: str | None
    _fields: ClassVar[Fields] = {
        "images": ((str,), _REQUIRED),
        "labels": ((str, type(None)), None),
        "order": ((str, type(None)), None),
        "learning_rates": ((str, type(None)), None),
    }


class Profile(_Part):
    """What to profile: the last epoch, which has so many steps; the epochs before it are the
    warm-up and the same steps without a profiler."""

    steps: int
    _fields: ClassVar[Fields] = {"steps": ((int,), _REQUIRED)}


class Job(_Part):
    """One process of a trial: what to do, on what, and where to put the results.

    `seed` is the block's seed, for whatever an engine draws by itself (dropout). `threads` is the
    number of threads it may compute with. `weights` is written by `train` and read by `test`.
    `checkpoints` is a folder for the weights after each epoch, `<epoch>.npz` from 1, each of which
    has to appear there whole: written under another name and renamed; None where none are wanted.
    `profile` is None but for a training job that asks for `ops` events.
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
    checkpoints: str | None
    predictions: str  # checked to be there in a test job; else None
    report: str
    profile: Profile | None
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
        "checkpoints": ((str, type(None)), None),
        "predictions": ((str, type(None)), None),
        "report": ((str,), _REQUIRED),
        "profile": ((dict, type(None)), None),
    }

    def __init__(self, document: Any, protocol: int = PROTOCOL) -> None:
        super().__init__(document, "job")
        if not 1 <= document["protocol"] <= protocol:
            spoken = ", ".join(map(str, range(1, protocol + 1)))
            raise UnknownProtocol(
                f"job: protocol {document['protocol']} is not spoken here; allowed: {spoken}."
            )
        if self.phase not in ("train", "test"):
            raise ContractError(f"job: phase must be 'train' or 'test', not '{self.phase}'.")
        self.workload = Workload(document["workload"])
        self.data = Data(document["data"], "data")
        if self.profile is not None:
            self.profile = Profile(self.profile, "profile")
        needed = {"initial_weights": self.initial_weights, "data.labels": self.data.labels}
        if self.phase == "test":
            needed = {"predictions": self.predictions}
        for name, value in needed.items():
            if value is None:
                raise ContractError(f"job: a {self.phase} job needs {name}.")

    @classmethod
    def read(cls, path: str | Path, protocol: int = PROTOCOL) -> Job:
        """Read a job file; `protocol` is the highest that the engine speaks.

        Raises: UnknownProtocol; ContractError naming the field that is missing or wrong.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ContractError(f"job: cannot read {path}: {error}.") from error
        return cls(document, protocol)


def _layer(entry: Any, index: int) -> Layer:
    where = f"job: workload.model.layers[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise ContractError(f"{where} must be an object with a 'type'.")
    return Layer({key: _frozen(value) for key, value in entry.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
