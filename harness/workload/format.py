"""Workloads: what to train, on what and how, as TOML; read, checked, overridden.

Every error is a WorkloadError of one line: the file, the setting, what is wrong, what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.errors import UsageError
from harness.safe import files
from harness.safe.text import one_line

PRESETS = Path(__file__).parent / "presets"
MAX_TOML_BYTES = 1_000_000  # a workload is a page of text; anything larger is the wrong file

Activation = Literal["linear", "relu", "sigmoid", "tanh", "softmax"]
Padding = Literal["valid", "same"]
Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


class WorkloadError(UsageError):
    """A workload that cannot be read, or whose settings do not fit together."""


def _as_pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Pair = Annotated[tuple[Count, Count], BeforeValidator(_as_pair)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Conv2D(_Settings):
    """Cross-correlation with a bias and an activation, as Keras' Conv2D (channels last)."""

    type: Literal["conv2d"]
    filters: Count
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    activation: Activation = "linear"
    use_bias: bool = True


class _Pooling(_Settings):
    pool_size: Pair = (2, 2)
    strides: Pair | None = None  # None: the same as pool_size, filled in when resolved
    padding: Padding = "valid"


class MaxPooling2D(_Pooling):
    """The largest value of each window."""

    type: Literal["max_pooling2d"]


class AveragePooling2D(_Pooling):
    """The mean of each window; with padding "same", of what lies inside the image."""

    type: Literal["average_pooling2d"]


class Flatten(_Settings):
    """(H, W, C) to (H·W·C,), the channel running fastest."""

    type: Literal["flatten"]


class Dense(_Settings):
    """x @ kernel + bias, then the activation."""

    type: Literal["dense"]
    units: Count
    activation: Activation = "linear"
    use_bias: bool = True


class Dropout(_Settings):
    """Zeroes a share `rate` of its inputs while training, and scales the rest by 1/(1 - rate).

    Which inputs is each engine's own choice, so a workload with dropout cannot be verified step by
    step.
    """

    type: Literal["dropout"]
    rate: Annotated[float, Field(ge=0, lt=1)]


class ActivationLayer(_Settings):
    """An activation as a layer of its own."""

    type: Literal["activation"]
    activation: Activation


Layer = Annotated[
    Conv2D | MaxPooling2D | AveragePooling2D | Flatten | Dense | Dropout | ActivationLayer,
    Field(discriminator="type"),
]


class Model(_Settings):
    """The layers, in order; the input's shape comes from the data set."""

    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=100)]


class DataSettings(_Settings):
    """Which data set, and how many of its first images (all by default)."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    train_limit: Annotated[int, Field(ge=1, strict=True)] | None = None
    test_limit: Annotated[int, Field(ge=1, strict=True)] | None = None


class Training(_Settings):
    """Optimizer and its settings, epochs, batches. Defaults are Keras'."""

    optimizer: Literal["sgd", "adam"]
    learning_rate: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    epochs: Count
    batch_size: Count
    shuffle: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    loss: Literal["sparse_categorical_crossentropy"] = "sparse_categorical_crossentropy"


class Testing(_Settings):
    """Images per call of the model while testing."""

    batch_size: Count = 1


class Workload(_Settings):
    """One workload, checked as far as it can be without the data set."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    model: Model
    data: DataSettings
    training: Training
    testing: Testing = Testing()

    def document(self) -> dict[str, Any]:
        """The workload as JSON-ready data, every default written out; parses back to itself."""
        return self.model_dump(mode="json")


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
    used = {"sgd": {"momentum"}, "adam": {"beta_1", "beta_2", "epsilon"}}
    for optimizer, names in used.items():
        stray = names & workload.training.model_fields_set
        # a resolved document holds every setting: only a value that would have an effect is wrong
        if optimizer != workload.training.optimizer:
            for name in sorted(stray):
                if getattr(workload.training, name) != Training.model_fields[name].default:
                    raise WorkloadError(
                        f"{source}: training.{name} belongs to {optimizer}, "
                        f"but training.optimizer is '{workload.training.optimizer}'."
                    )
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
        reason = one_line(" ".join(str(error).split()))
        raise WorkloadError(f"{path.name}: not valid TOML: {reason}.") from None


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
    kind, given, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{where}: no such setting{_allowed_beside(first['loc'])}."
    if kind == "missing":
        return f"{where}: missing."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        allowed = context.get("expected_tags") or _tags()
        given_type = given.get("type") if isinstance(given, dict) else given
        return f"{where}: no layer type {given_type!r}; allowed: {allowed}."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {message}, not {_short(given)}."


def _location(loc: tuple[Any, ...]) -> str:
    tags, text = _layer_classes(), ""
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
        if part in _layer_classes():
            section = _layer_classes()[part]
        elif not isinstance(part, int) and part in section.model_fields:
            annotation = section.model_fields[part].annotation
            section = annotation if hasattr(annotation, "model_fields") else section
    return f"; allowed: {', '.join(section.model_fields)}"


def _layer_classes() -> dict[str, type[_Settings]]:
    classes = (Conv2D, MaxPooling2D, AveragePooling2D, Flatten, Dense, Dropout, ActivationLayer)
    return {cls.model_fields["type"].annotation.__args__[0]: cls for cls in classes}  # type: ignore[union-attr]


def _tags() -> str:
    return ", ".join(f"'{tag}'" for tag in _layer_classes())


def _short(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
