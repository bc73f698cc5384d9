"""The arguments of a call, sorted: what a compiled function depends on, and what it is given.

Arrays (NumPy's numbers included) are given at every call. Python numbers and static arguments are
part of the program: a number takes the dtype of what is beside it, as in eager code, which an array
could not, and a static argument is whatever the function makes of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from myad.compile.program.trace import is_tracing
from myad.core import AbstractValue, Tensor
from myad.errors import CompileError, OptionError
from myad.recording import thread_state
from myad.tree import flatten, named_leaves, unflatten


class Static(NamedTuple):
    """Which arguments are static, by position and by name."""

    numbers: frozenset[int]
    names: frozenset[str]


def static_arguments(
    function: Callable[..., Any], numbers: Sequence[int], names: Sequence[str]
) -> Static:
    """The static arguments of `function`; where only one way is given, its signature gives the
    other. Raises: OptionError for a name or position that it does not have."""
    positional, keywords, variable, options = _signature(function)
    count = len(positional)
    for name in names:
        if name not in keywords and not options:
            raise OptionError(f"jit: static_argnames: {_name(function)} has no argument {name!r}.")
    for number in numbers:
        if not variable and not -count <= number < count:
            raise OptionError(
                f"jit: static_argnums: {_name(function)} has {count} positional arguments, not"
                f" number {number}."
            )
    places = {n + count if n < 0 else n for n in numbers}
    if numbers and not names:
        names = [positional[n] for n in places if n < count]
    elif names and not numbers:
        places = {n for n, name in enumerate(positional) if name in names}
    return Static(frozenset(places), frozenset(names))


def _signature(function: Callable[..., Any]) -> tuple[list[str], list[str], bool, bool]:
    """Names of positional and of keyword arguments; whether there are *args and **options."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have none
        return [], [], True, True
    kinds = inspect.Parameter
    positional = [p.name for p in parameters
                  if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    keywords = [p.name for p in parameters
                if p.kind in (kinds.KEYWORD_ONLY, kinds.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    found = {p.kind for p in parameters}
    return positional, keywords, kinds.VAR_POSITIONAL in found, kinds.VAR_KEYWORD in found


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


class Call:
    """One call of a compiled function.

    Fields: `arrays` what is given to the program, in order, and `key` all that the program depends
    on, nesting, shapes, dtypes, numbers and static arguments, both after `read()`; `is_boxed`
    whether an argument is a Tensor; `is_followed` whether one is differentiated, or a program is
    being recorded: the call then belongs to that.
    """

    def __init__(
        self, function: Callable[..., Any], static: Static, args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:  # fmt: skip
        self.function = function
        self._args, self._fixed = args, static
        self._options = dict(sorted(options.items())) if options else options
        self._has_static = bool(static.numbers or static.names)
        if self._has_static:
            self._moving: Any = (
                tuple([None if n in static.numbers else a for n, a in enumerate(args)]),
                {k: None if k in static.names else v for k, v in self._options.items()},
            )
        else:
            self._moving = args, self._options
        self._leaves, self._structure = flatten(self._moving)
        tensors = [leaf for leaf in self._leaves if type(leaf) is Tensor]
        self.is_boxed = bool(tensors)
        inside = is_tracing() or thread_state.stage is not None
        inside = inside or any(isinstance(x.value, AbstractValue) for x in tensors)
        self.is_followed = inside or any(x.tracked & thread_state.active for x in tensors)

    @property
    def name(self) -> str:
        """What the function is called in messages."""
        return _name(self.function)

    def read(self) -> None:
        """Set `arrays` and `key`. Raises: CompileError, OptionError for what can be neither."""
        arrays: list[np.ndarray] = []
        kinds: list[Any] = []
        for leaf in self._leaves:
            x = leaf.value if type(leaf) is Tensor else leaf
            if type(x) is not np.ndarray:
                if _is_number(x):  # by its text, as 1, 1.0 and True are equal, and NaN is not
                    kinds += (type(x), repr(x))
                    continue
                x = np.asarray(x)
            arrays.append(x)
            kinds += (x.shape, x.dtype)
        self.arrays = arrays
        self.key = self._structure, tuple(kinds), self._static_key() if self._has_static else ()

    def check(self) -> None:
        """Raise CompileError for what is no array, OptionError for what has no hash."""
        if any(array.dtype.kind not in "biuf" for array in self.arrays):
            self._refuse()
        try:
            hash(self._structure)
        except TypeError as fault:
            raise OptionError(
                f"{self.name}: keys and settings within its arguments must be hashable: {fault}."
            ) from None

    @property
    def names(self) -> list[str]:
        """A name of each of `arrays`, from its argument's place or name and its own therein."""
        return [name for name, leaf in self._named_leaves("arg") if not _is_number(leaf)]

    def _named_leaves(self, word: str) -> list[tuple[str, Any]]:
        args, options = self._moving
        named = [pair for n, a in enumerate(args) for pair in named_leaves(a, f"{word}{n}")]
        return named + [pair for k, v in options.items() for pair in named_leaves(v, k)]

    def _refuse(self) -> None:
        for label, leaf in self._named_leaves(""):
            dtype = np.asarray(leaf).dtype
            if dtype.kind in "biuf":
                continue
            if dtype.kind == "c":
                raise CompileError(
                    f"{self.name}: argument {label} is {dtype}, which cannot be compiled."
                )
            raise CompileError(
                f"{self.name}: argument {label} is not an array: {leaf!r:.60}. If it is a"
                " setting, name it in static_argnums or static_argnames."
            )

    def _static_key(self) -> tuple[Any, ...]:
        labelled: list[tuple[Any, Any]] = [
            (n, a) for n, a in enumerate(self._args) if n in self._fixed.numbers
        ]
        labelled += [(k, v) for k, v in self._options.items() if k in self._fixed.names]
        for label, value in labelled:
            try:
                hash(value)
            except TypeError:
                raise OptionError(
                    f"{self.name}: the static argument {label} must be hashable, not a"
                    f" {type(value).__name__}: {value!r:.60}"
                ) from None
        return tuple([(label, type(value), value) for label, value in labelled])

    def on_arrays(self, *given: Any) -> Any:
        """The function, called with `given` in the places of the arrays."""
        rest = iter(given)
        filled = [x if _is_number(x) else next(rest) for x in self._leaves]
        moving, options = unflatten(self._structure, filled)
        args = [a if n in self._fixed.numbers else moving[n] for n, a in enumerate(self._args)]
        fixed = {k: v for k, v in self._options.items() if k in self._fixed.names}
        return self.function(*args, **{**options, **fixed})


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, np.generic)
