"""Workloads: what to train, on what and how, as TOML; read, checked, overridden.

Every error is a WorkloadError of one line: the file, the setting, what is wrong, what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from harness.errors import UsageError
from harness.safe import files
from harness.safe.text import flat
from harness.workload.layers import LAYERS, Layer
from harness.workload.rates import SCHEDULES, AnySchedule, Constant
from harness.workload.settings import Count, Settings, Share

PRESETS = Path(__file__).parent / "presets"
MAX_TOML_BYTES = 1_000_000  # a workload is a page of text; anything larger is the wrong file


class WorkloadError(UsageError):
    """A workload that cannot be read, or whose settings do not fit together."""


class Model(Settings):
    """The layers, in order; the input's shape comes from the data set."""

    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=100)]


class DataSettings(Settings):
    """Which data set, and how many of its first images (all by default)."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    train_limit: Annotated[int, Field(ge=1, strict=True)] | None = None
    test_limit: Annotated[int, Field(ge=1, strict=True)] | None = None


class Training(Settings):
    """Optimizer and its settings, epochs, batches. Defaults are Keras'.

    learning_rate: α, times what `schedule` says. weight_decay: λ of θ ← θ·(1 − αλ) before each
    step, for every optimizer and every parameter.
    """

    optimizer: Literal["sgd", "adam", "rmsprop"]
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: AnySchedule = Constant()
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Share = 0.0
    nesterov: bool = False
    beta_1: Share = 0.9
    beta_2: Share = 0.999
    rho: Share = 0.9
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    epochs: Count
    batch_size: Count
    shuffle: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    loss: Literal["sparse_categorical_crossentropy"] = "sparse_categorical_crossentropy"


class Testing(Settings):
    """Images per call of the model while testing."""

    batch_size: Count = 1


class Target(Settings):
    """How good the network is to become, a share of the test images, and how many epochs it has for
    that. Engines train for all of them; when the target was reached is found out afterwards."""

    accuracy: Annotated[float, Field(gt=0, le=1)]
    max_epochs: Count


OPTIMIZERS = {  # the settings that belong to each, beside those of all
    "sgd": {"momentum", "nesterov"},
    "adam": {"beta_1", "beta_2", "epsilon"},
    "rmsprop": {"momentum", "rho", "epsilon"},
}
# Settings that are younger than some runs: a document leaves them out where they change nothing, so
# that the same work is the same document.
YOUNGER: dict[str, tuple[str, ...]] = {
    "training": ("schedule", "weight_decay", "nesterov", "rho"),
    "": ("target",),
}


class Workload(Settings):
    """One workload, checked as far as it can be without the data set."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    model: Model
    data: DataSettings
    training: Training
    testing: Testing = Testing()
    target: Target | None = None

    @model_validator(mode="before")
    @classmethod
    def _epochs_of_target(cls, document: Any) -> Any:
        """A workload with a target trains for its `max_epochs`."""
        if not isinstance(document, dict):
            return document
        training, target = document.get("training"), document.get("target")
        if not isinstance(training, dict) or not isinstance(target, dict):
            return document
        if "max_epochs" not in target or "epochs" in training:
            return document
        return {**document, "training": {**training, "epochs": target["max_epochs"]}}

    def document(self) -> dict[str, Any]:
        """The workload as JSON-ready data, defaults written out but for those of YOUNGER settings;
        parses back to itself."""
        document = self.model_dump(mode="json")
        for section, names in YOUNGER.items():
            part, given = (
                (document[section], getattr(self, section)) if section else (document, self)
            )
            for name in names:
                if getattr(given, name) == type(given).model_fields[name].default:
                    del part[name]
        return document


def preset_names() -> list[str]:
    """The names of the presets that come with the harness."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Workload:
    """Read a preset, or a TOML file of the user's, and apply `--set` settings in order.

    Args:
        name_or_path: a preset's name, or a path (anything ending in .toml or holding a slash).
        overrides: texts such as "training.batch_size=8".
    Raises: WorkloadError, one line.
    """
    text = str(name_or_path)
    if text in preset_names():
        path = PRESETS / f"{text}.toml"
    elif text.endswith(".toml") or "/" in text or "\\" in text:
        path = Path(text)
    else:
        raise WorkloadError(
            f"workload: no preset '{text}'; allowed: {', '.join(preset_names())}, "
            "or the path of a .toml file."
        )
    document = _read_toml(path)
    for override in overrides:
        apply_override(document, override)
    return parse(document, source=path.name)


def parse(document: Any, source: str = "workload") -> Workload:
    """Check a workload given as data. Raises: WorkloadError naming `source` and the setting."""
    try:
        workload = Workload.model_validate(document)
    except ValidationError as error:
        raise WorkloadError(f"{source}: {_first_error(error)}") from None
    _check_optimizer(workload.training, source)
    _check_epochs(workload, source)
    _check_softmax(workload, source)
    return workload


def apply_override(document: dict[str, Any], override: str) -> None:
    """Change one setting in place: "training.batch_size=8", "model.layers.0.filters=4".

    The value is read as TOML, and as plain text where it is not TOML (data.dataset=mnist).
    """
    path, equals, value = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise WorkloadError(f"--set {override}: expected section.setting=value.")
    target: Any = document
    for key in keys[:-1]:
        target = _step_into(target, key, override)
    if isinstance(target, list):
        target[_index(target, keys[-1], override)] = _toml_value(value)
    elif isinstance(target, dict):
        target[keys[-1]] = _toml_value(value)
    else:
        raise WorkloadError(f"--set {override}: '{keys[-2]}' has no settings inside it.")


def _step_into(target: Any, key: str, override: str) -> Any:
    if isinstance(target, list):
        return target[_index(target, key, override)]
    if isinstance(target, dict):
        return target.setdefault(key, {})
    raise WorkloadError(f"--set {override}: there is no '{key}' to change.")


def _index(target: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(target):
        raise WorkloadError(
            f"--set {override}: '{key}' is not an index; allowed: 0 to {len(target) - 1}."
        )
    return int(key)


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text.strip()
    return parsed["value"] if len(parsed) == 1 else text.strip()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        # a person has named it, perhaps by a link
        return tomllib.loads(files.read_text(path, MAX_TOML_BYTES, follow=True))
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of a number too long
        reason = flat(error)
        raise WorkloadError(f"{path.name}: not valid TOML: {reason}.") from None


def _check_optimizer(training: Training, source: str) -> None:
    """Every setting belongs to the optimizer."""
    own = OPTIMIZERS[training.optimizer]
    for name in sorted(set().union(*OPTIMIZERS.values()) - own):
        # a resolved document holds every setting: only a value that would have an effect is wrong
        if getattr(training, name) != Training.model_fields[name].default:
            owners = " and ".join(key for key, names in OPTIMIZERS.items() if name in names)
            raise WorkloadError(
                f"{source}: training.{name} belongs to {owners}, "
                f"but training.optimizer is '{training.optimizer}'."
            )
    if training.nesterov and not training.momentum:
        raise WorkloadError(f"{source}: training.nesterov needs a training.momentum above 0.")


def _check_epochs(workload: Workload, source: str) -> None:
    target, epochs = workload.target, workload.training.epochs
    if target is not None and target.max_epochs != epochs:
        raise WorkloadError(
            f"{source}: target.max_epochs is {target.max_epochs}, training.epochs {epochs}; a "
            "workload with a target trains for max_epochs, and training.epochs is left out."
        )


def _check_softmax(workload: Workload, source: str) -> None:
    """The loss takes probabilities, so softmax stands at the end and nowhere else."""
    layers = workload.model.layers
    for index, layer in enumerate(layers):
        is_softmax = getattr(layer, "activation", None) == "softmax"
        if is_softmax != (index == len(layers) - 1):
            rule = "only the last layer may have" if is_softmax else "the last layer must have"
            raise WorkloadError(
                f"{source}: model.layers[{index}] ({layer.type}): {rule} activation 'softmax', "
                "because the loss is sparse_categorical_crossentropy."
            )


def _first_error(error: ValidationError) -> str:
    """The first complaint in one line: setting, rule, what was given, what is allowed."""
    first = error.errors()[0]
    where = _location(first["loc"])
    kind, given = first["type"], first["input"]
    if kind == "extra_forbidden":
        return f"{where}: no such setting{_allowed_beside(first['loc'])}."
    if kind == "missing":
        return f"{where}: missing."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        what = "schedule" if "schedule" in first["loc"] else "layer"
        allowed = ", ".join(f"'{tag}'" for tag in _tagged()[what])
        given_type = given.get("type") if isinstance(given, dict) else given
        noun = "layer type" if what == "layer" else what
        return f"{where}: no {noun} {given_type!r}; allowed: {allowed}."
    text = first["msg"].removeprefix("Value error, ")
    message = text[0].lower() + text[1:]
    return f"{where}: {message}, not {_short(given)}."


def _location(loc: tuple[Any, ...]) -> str:
    tags, text = _classes(), ""
    for position, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in tags or position == 0:
            text += f".{_cut(part)}" if text else _cut(part)
    return text or "workload"


def _allowed_beside(loc: tuple[Any, ...]) -> str:
    """The settings that exist in the section of a setting that does not."""
    section: Any = Workload
    for part in loc[:-1]:
        if part in _classes():
            section = _classes()[part]
        elif not isinstance(part, int) and part in section.model_fields:
            annotation = section.model_fields[part].annotation
            known = [t for t in (annotation, *get_args(annotation)) if hasattr(t, "model_fields")]
            section = known[0] if known else section
    return f"; allowed: {', '.join(section.model_fields)}"


def _classes() -> dict[str, type[Settings]]:
    return {tag: cls for tags in _tagged().values() for tag, cls in tags.items()}


def _tagged() -> dict[str, dict[str, type[Settings]]]:
    """What is chosen by its `type`: layers and schedules, by that."""
    return {
        what: {get_args(cls.model_fields["type"].annotation)[0]: cls for cls in classes}
        for what, classes in (("layer", LAYERS), ("schedule", SCHEDULES))
    }


def _short(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
