"""The core of automatic differentiation: `Primitive` and `Tensor`.

Nothing here knows an operation. A `Primitive` holds the rules of one operation: its value in NumPy,
its shape, its gradient. Calling it on a `Tensor` computes the value and, if an input is tracked,
keeps the inputs: that record is the graph, which `myad.backward` walks.

Who tracks is a bit mask, see `myad.recording`: one look at the mask of an output tells whether
anybody else follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from myad.constants import as_constant, describe
from myad.errors import (
    BoundsError,
    DTypeError,
    GraphError,
    MyadError,
    OptionError,
    ShapeError,
    TraceError,
)
from myad.recording import LEAF_BIT, next_order, stages, thread_state

ndarray = np.ndarray
PRIMITIVES: dict[str, Primitive] = {}


class Spec(NamedTuple):
    """What a shape rule reads and returns: a shape and an element type."""

    shape: tuple[int, ...]
    dtype: np.dtype


class AbstractValue:
    """Stands for an array of which only shape and dtype are known; the compiler derives from it.

    `level` is larger for what was begun later: where several kinds meet, the innermost records.
    """

    __slots__ = ()
    level: int = 0
    shape: tuple[int, ...]
    dtype: np.dtype

    def record(self, op: Primitive, inputs: list[Any], static: dict[str, Any]) -> AbstractValue:
        """Note that `op` is applied to `inputs` (values, abstract or not); return its result."""
        raise NotImplementedError


class Primitive:
    """One operation with its rules, made by `@primitive` from the NumPy value function.

    Arrays are positional, static parameters keyword-only and hashable; every rule receives all of
    them. Called on arrays alone, a primitive is its value function; otherwise it returns a Tensor.
    """

    def __init__(self, value: Callable[..., Any]) -> None:
        code = value.__code__
        positional = code.co_argcount
        self._static_names = code.co_varnames[positional : positional + code.co_kwonlyargcount]
        self._n_static = len(self._static_names)
        self._defaults = value.__kwdefaults__ or {}
        self.name = self.__name__ = value.__name__
        self.__doc__ = value.__doc__
        self.value = value
        self.shape_rule: Any = None
        self.vjp: Any = None
        self.jvp: Any = None
        self.kernel_rule: Any = None
        PRIMITIVES[self.name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def shape(self, rule: Callable[..., Spec]) -> Callable[..., Spec]:
        """Register the shape rule: objects with `.shape` and `.dtype` -> `Spec`."""
        self.shape_rule = rule
        return rule

    def gradient(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Register the gradient rule `(dz, z, *inputs, **static)` -> one gradient per input.

        `None` stands for no gradient, and a function without arguments for a gradient that is
        computed only if somebody reads it. Rules are written with primitives and operators, so
        they work on arrays, tensors and abstract values alike.
        """
        self.vjp = rule
        return rule

    def tangent(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Register a rule of forward mode, `(tangents, z, *inputs, **static)` -> tangent of z.

        It is needed only where the transpose of the gradient rule, which is taken otherwise, does
        not exist or costs more. A tangent of None is zero.
        """
        self.jvp = rule
        return rule

    def kernel(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Register the kernel rule, by which the compiler writes loop code (see `composed`)."""
        self.kernel_rule = rule
        return rule

    def __call__(self, *inputs: Any, **static: Any) -> Any:
        # The hot path of eager training: flat and without calls that can be avoided.
        if len(static) != self._n_static:
            static = self._complete(static)
        tracked = 0
        boxed = False
        plain = True
        values = []
        for x in inputs:
            if type(x) is Tensor:
                boxed = True
                tracked |= x.tracked
                x = x.value
            if type(x) is not ndarray:
                plain = False
            values.append(x)
        if not boxed and not (stages and self._waits()):
            try:
                return self.value(*inputs, **static)
            except (AttributeError, ValueError, TypeError, IndexError) as fault:
                return self._again(inputs, static, plain, fault)
        if plain and not stages:
            result = self._evaluate(values, static)
        else:
            inputs, values = _with_constants(inputs)
            record = self._recorder(values)
            if record is None:
                result = self._evaluate(values, static)
            else:
                result = self._record(record, values, static)
        z = Tensor(result)
        if tracked:
            tracked &= thread_state.active
            if tracked and result.dtype.kind == "f":  # nothing else has derivatives
                z.tracked = tracked
                z.order = next_order()
                z.op = self
                z.inputs = inputs
                z.static = static
        return z

    def _again(self, inputs: Any, static: dict[str, Any], plain: bool, fault: Exception) -> Any:
        """The value for numbers and lists, made arrays, or what is wrong with the inputs."""
        if isinstance(fault, MyadError):
            raise fault
        arrays = inputs if plain else tuple([as_constant(x) for x in inputs])
        return self._evaluate(list(arrays), static)

    def _evaluate(self, values: list[Any], static: dict[str, Any]) -> Any:
        try:
            result = self.value(*values, **static)
        except (MyadError, np.linalg.LinAlgError):
            raise
        except (ValueError, TypeError, IndexError) as fault:
            self.shape_rule(*values, **static)  # says it better, if it finds the fault
            kind = next(kind for cause, kind in _KINDS if isinstance(fault, cause))
            raise kind(f"{self.name}: {str(fault).rstrip('.')}.{describe(*values)}") from fault
        dtype = result.dtype
        for value in values:
            if value.dtype is not dtype:  # unusual: let the shape rule decide whether it is allowed
                self.shape_rule(*values, **static)
                break
        return result

    def _recorder(self, values: list[Any]) -> Callable[..., AbstractValue] | None:
        """Who notes the operation: the innermost whose values are read, or that stages it."""
        abstract = [v for v in values if isinstance(v, AbstractValue)]
        inner = max(abstract, key=lambda v: v.level, default=None)
        stage = thread_state.stage
        if stage is not None and stage.takes(self) and (inner is None or inner.level < stage.level):
            return stage.append
        return None if inner is None else inner.record

    def _waits(self) -> bool:
        """Whether it fails or never ends only if it is reached, and so may not be done now."""
        return self.kernel_rule is routine and thread_state.stage is not None

    def _record(
        self, record: Callable[..., AbstractValue], values: list[Any], static: dict[str, Any]
    ) -> AbstractValue:
        try:
            hash(tuple(static.values()))
        except TypeError:
            raise OptionError(f"{self.name}: cannot hash static parameters {static}") from None
        return record(self, values, static)

    def _complete(self, static: dict[str, Any]) -> dict[str, Any]:
        complete = {**self._defaults, **static}
        if set(complete) != set(self._static_names):
            raise OptionError(
                f"{self.name}: static parameters are {', '.join(self._static_names) or 'none'};"
                f" got {', '.join(static) or 'none'}."
            )
        return complete


def primitive(value: Callable[..., Any]) -> Primitive:
    """Make a `Primitive` of a NumPy function; the name of the function is the operation's."""
    return Primitive(value)


def composed(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a kernel rule written with other primitives: `(*inputs, **static)` -> result."""
    rule.composed = True  # type: ignore[attr-defined]
    return rule


class Described:
    """A static parameter that is no plain value, but can say all that results hang on."""

    def description(self) -> tuple[Any, ...]:
        """Numbers, text, arrays, primitives, tuples of them, and others that are described."""
        raise NotImplementedError


def routine(*inputs: Any, **static: Any) -> Any:
    """The kernel rule of an operation for which the compiler has a routine of its own."""
    raise NotImplementedError


class Tensor:
    """An array that remembers how it was computed.

    Args:
        value: an array, or anything NumPy turns into one. It is not copied.
        dtype: element type to convert to; by default that of `value`.
        requires_grad: makes a leaf, whose `.grad` is filled by `backward`.

    Attributes: `value` the array (or an `AbstractValue`); `grad` the gradient, a Tensor, or None;
    `tracked` the bits of those who follow this tensor; `op`, `inputs`, `static`, `order` the
    record: by which primitive, of what, with which parameters, and when it was computed.
    """

    __slots__ = ("grad", "inputs", "op", "order", "static", "tracked", "value")

    value: Any
    grad: Tensor | None
    op: Primitive | None
    inputs: Sequence[Any]
    static: dict[str, Any]
    order: int
    tracked: int

    def __init__(self, value: Any, dtype: Any = None, *, requires_grad: bool = False) -> None:
        if type(value) is not ndarray:
            if type(value) is Tensor:
                value = value.value
            if not isinstance(value, AbstractValue):
                value = np.asarray(value)
        if dtype is not None:
            value = np.asarray(value, dtype=dtype)
        self.value = value
        self.tracked = 0
        self.op = None
        self.inputs = ()
        self.static = _NOTHING
        self.grad = None
        if requires_grad:
            if value.dtype.kind != "f":
                raise DTypeError(f"Tensor: only floating-point ones have gradients: {value.dtype}.")
            self.tracked = LEAF_BIT
            self.order = next_order()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        """Element type."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.value.shape))

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` follows this tensor."""
        return bool(self.tracked & LEAF_BIT)

    def numpy(self) -> ndarray:
        """The array itself, not a copy.

        Raises: TraceError while a program is being recorded, GraphError inside of a derivative
            that follows this tensor: there, a value taken out would count as a constant.
        """
        if self.tracked & thread_state.active & ~LEAF_BIT:
            raise GraphError(
                "a number was asked of a tensor that a derivative follows, which would count as a"
                " constant from there on: use myad's operations (myad.sin for math.sin, where,"
                " ...), or detach() the tensor if a constant is meant."
            )
        if type(self.value) is not ndarray:
            raise TraceError(
                f"a value was asked of a tensor {self.shape} that is being traced: only shapes are"
                " known then. Use operations (`where`, `maximum`, ...) instead of Python branches."
            )
        return self.value

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self.numpy().item()

    def detach(self) -> Tensor:
        """The same value without its record."""
        value = self.value  # a view, as loops tell followed arrays from others by their identity
        return Tensor(value.view() if type(value) is ndarray else value)

    def __repr__(self) -> str:
        if type(self.value) is not ndarray:
            return f"Tensor(shape={self.shape}, dtype={self.dtype}, traced)"
        text = np.array2string(self.value, separator=", ", prefix="Tensor(")
        note = f", op={self.op.name}" if self.op else ", leaf" if self.tracked else ""
        return f"Tensor({text}, dtype={self.dtype}{note})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a scalar tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        # a branch may hang on values: the derivative is that of the branch taken
        return bool(self.detach().numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        if self.tracked:
            raise GraphError(
                "this tensor is followed by a derivative, which NumPy would lose:"
                " use myad's operations, or detach() it."
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # operators, methods and NumPy's protocols are installed by myad.ops

        def __getattr__(self, name: str) -> Any: ...
        def __add__(self, other: Any) -> Tensor: ...

        __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
        __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __mod__ = __rmod__ = __getitem__ = __add__
        __lt__ = __le__ = __gt__ = __ge__ = __add__

        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...


_NOTHING: dict[str, Any] = {}
_KINDS = ((TypeError, DTypeError), (IndexError, BoundsError), (ValueError, ShapeError))


def _with_constants(inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """`inputs` with numbers and lists turned into arrays, and the values of all."""
    dtypes = [x.dtype for x in inputs if type(x) is Tensor]
    ready = tuple(
        [x if type(x) is Tensor or type(x) is ndarray else as_constant(x, dtypes) for x in inputs]
    )
    return ready, [x.value if type(x) is Tensor else x for x in ready]
