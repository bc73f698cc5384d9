"""Loop code: loops of known length, loads, stores and arithmetic on scalars or vectors.

It is data with three readers: `str(code)` prints it for a person, `interpret.py` runs it slowly in
Python, `llvm.py` renders it to LLVM IR. Every address is affine in the loop counters and every loop
length is known, so `check` proves that nothing outside a buffer is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from myad.compile.dtypes import BOOLEAN, FLOATS
from myad.compile.kernels.expr import COMPARISONS
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.schedule.layout import Storage
from myad.errors import CompileError


@dataclass(eq=False)
class Value:
    """One result: `op` of `args`, `lanes` numbers wide (1 is a scalar)."""

    op: str
    args: tuple[Value, ...]
    dtype: str
    lanes: int = 1
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Store:
    """Write the first `valid` lanes of `value` at `address`, `stride` elements apart."""

    storage: Storage
    address: Affine
    value: Value
    stride: int
    valid: int


@dataclass(eq=False)
class Zero:
    """Set a whole storage to 0."""

    storage: Storage


@dataclass(eq=False)
class Loop:
    """Run `body` for `var` = 0 … size − 1, carrying values: each phi starts at its first value and
    takes the matching `yields` after every turn. The last yields hold after the loop.

    `unit` is a number if the turns are shared out among threads: they are the units from `unit` on
    of the kernel's, of which each thread has a run; such a loop carries nothing."""

    var: Axis
    carried: list[Value]
    starts: list[Value]
    yields: list[Value] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    unit: int | None = None


Statement = Value | Store | Zero | Loop


@dataclass(eq=False)
class LoopCode:
    """One kernel: the storages it touches (its arguments) and its statements.

    Fields: `model` the code this one repeats, if any: `body` is the model's, and runs on `storages`
    where it names those of the model, in the same order; `units` equal parts of its work that
    threads may share, 0 if it is one thread's; `slice` the axis over slices of the batch, if a run
    is for one of them.
    """

    name: str
    storages: list[Storage]
    body: list[Statement]
    note: str = ""
    model: LoopCode | None = None
    units: int = 0
    slice: Axis | None = None

    @property
    def written(self) -> set[Storage]:
        """The storages that it writes."""
        formal = self.storages if self.model is None else self.model.storages
        names = {statement.storage for statement in statements(self.body)
                 if isinstance(statement, Store | Zero)}  # fmt: skip
        return {own for name, own in zip(formal, self.storages, strict=True) if name in names}

    def on(
        self, name: str, storages: Mapping[Storage, Storage], place: Axis | None = None
    ) -> LoopCode:
        """The same code on other storages; those that `storages` does not name stay."""
        places = [storages.get(storage, storage) for storage in self.storages]
        return LoopCode(name, places, self.body, self.note, self, self.units, place)

    def __str__(self) -> str:
        return Printer(self).text()


class LoopBuilder:
    """Appends statements; equal values in one scope are built once."""

    def __init__(self, name: str, note: str = "") -> None:
        self.code = LoopCode(name, [], [], note)
        self._blocks: list[list[Statement]] = [self.code.body]
        self._known: list[dict[Any, Value]] = [{}]
        self._read: dict[Storage, list[Any]] = {}  # keys of loads, to be forgotten at a store

    def use(self, storage: Storage) -> Storage:
        """Make `storage` an argument of the kernel."""
        if storage not in self.code.storages:
            self.code.storages.append(storage)
        return storage

    def value(
        self, op: str, args: tuple[Value, ...], dtype: str, lanes: int, **attrs: Any
    ) -> Value:
        """The value `op(args)`, the one built before if this scope has it."""
        exact: Any = ()
        if attrs:  # by its text, as -0.0 equals 0.0 and is another constant
            exact = tuple([repr(v) if isinstance(v, float) else v for v in attrs.values()])
        key = (op, tuple([id(arg) for arg in args]), dtype, lanes, exact)
        for known in self._known:
            if key in known:
                return known[key]
        result = Value(op, args, dtype, lanes, attrs)
        self._known[-1][key] = result
        if op == "load":
            self._read.setdefault(attrs["storage"], []).append(key)
        self._blocks[-1].append(result)
        return result

    def const(self, value: float, dtype: str) -> Value:
        """A number."""
        return self.value("const", (), dtype, 1, value=value)

    def load(
        self,
        storage: Storage,
        address: Affine,
        *,
        lanes: int = 1,
        stride: int = 1,
        valid: int | None = None,
        row: Value | None = None,
    ) -> Value:
        """`lanes` elements from `address`, `stride` apart; lanes from `valid` on are 0."""
        self.use(storage)
        args = () if row is None else (row,)
        valid = lanes if valid is None else valid
        return self.value(
            "load", args, storage.dtype, lanes,
            storage=storage, address=address, stride=stride, valid=valid,
        )  # fmt: skip

    def index(self, address: Affine, step: int, lanes: int, dtype: str) -> Value:
        """The value of an affine index, larger by `step` from lane to lane."""
        return self.value("index", (), dtype, lanes, address=address, step=step)

    def apply(self, op: str, *args: Value, dtype: str | None = None) -> Value:
        """Elementwise `op`; scalars are spread over the lanes of the widest operand."""
        lanes = max(arg.lanes for arg in args)
        wide = tuple(self.spread(arg, lanes) for arg in args)
        if wide[-1].dtype == "bool":
            op = BOOLEAN.get(op, op)
        if dtype is None:
            dtype = "bool" if op in COMPARISONS else wide[-1].dtype
        return self.value(op, wide, dtype, lanes)

    def spread(self, value: Value, lanes: int) -> Value:
        """A scalar repeated in every lane."""
        if value.lanes == lanes:
            return value
        assert value.lanes == 1, "only a scalar can be spread"
        return self.value("spread", (value,), value.dtype, lanes)

    def keep(self, value: Value, valid: int, other: float) -> Value:
        """`value` with the lanes from `valid` on replaced by the constant `other`."""
        if valid >= value.lanes:
            return value
        return self.value("keep", (value,), value.dtype, value.lanes, valid=valid, other=other)

    def across(self, op: str, value: Value) -> Value:
        """The lanes of `value` combined with `op` ("add", "max", "min") into a scalar."""
        if value.lanes == 1:
            return value
        return self.value("across", (value,), value.dtype, 1, combine=op)

    def store(
        self, storage: Storage, address: Affine, value: Value, *, stride: int = 1,
        valid: int | None = None,
    ) -> None:  # fmt: skip
        """Write lanes of `value`; see `Store`."""
        self.use(storage)
        valid = value.lanes if valid is None else valid
        self._blocks[-1].append(Store(storage, address, value, stride, valid))
        for key in self._read.pop(storage, ()):  # what was read from there may have changed
            for known in self._known:
                known.pop(key, None)

    def zero(self, storage: Storage) -> None:
        """Set all of `storage` to 0."""
        self._blocks[-1].append(Zero(self.use(storage)))

    @contextmanager
    def loop(
        self, var: Axis, starts: list[Value] | None = None, unit: int | None = None
    ) -> Iterator[Loop]:
        """A loop around what is built inside; set its `yields` before leaving."""
        starts = starts or []
        carried = [Value("phi", (), s.dtype, s.lanes) for s in starts]
        loop = Loop(var, carried, starts, unit=unit)
        self._blocks[-1].append(loop)
        self._blocks.append(loop.body)
        self._known.append({})
        yield loop
        assert len(loop.yields) == len(loop.carried)
        self._blocks.pop()
        self._known.pop()


def check(code: LoopCode) -> LoopCode:
    """Prove that every access of `code` lies inside its storage.

    Raises: CompileError naming the kernel, the access and the bounds broken.
    """
    outside = frozenset() if code.slice is None else frozenset([code.slice])
    for statement, scope in _accesses(code.body, outside):
        if isinstance(statement, Store):
            storage, stride, valid = statement.storage, statement.stride, statement.valid
            address = statement.address
        else:
            storage, address = statement.attrs["storage"], statement.attrs["address"]
            stride, valid = statement.attrs["stride"], statement.attrs["valid"]
        if free := set(address.terms) - scope:
            raise CompileError(f"{code.name}: counters {free} of an address are not in scope")
        low, high = address.bounds()
        last = (valid - 1) * stride
        low, high = low + min(last, 0), high + max(last, 0)
        limit = storage.row if storage.kind == "stream" else storage.size
        if low < 0 or high >= limit:
            raise CompileError(
                f"{code.name}: elements {low} to {high} of {storage.name}, which has {limit}. "
                "This is a fault of the compiler: please report it with the program."
            )
    return code


def statements(body: list[Statement]) -> Iterator[Statement]:
    """Every statement, those inside loops included."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop):
            yield from statements(statement.body)


def _accesses(
    body: list[Statement], scope: frozenset[Axis]
) -> Iterator[tuple[Value | Store, frozenset[Axis]]]:
    for statement in body:
        if isinstance(statement, Loop):
            yield from _accesses(statement.body, scope | {statement.var})
        elif isinstance(statement, Store) or (
            isinstance(statement, Value) and statement.op == "load"
        ):
            yield statement, scope


class Printer:
    """Loop code as text."""

    def __init__(self, code: LoopCode) -> None:
        self.code = code
        self.names: dict[Value, str] = {}
        self.lines: list[str] = []

    def text(self) -> str:
        """The whole kernel."""
        arguments = ", ".join(f"{s.name}:{s.dtype}[{s.size}]" for s in self.code.storages)
        note = f"   # {self.code.note}" if self.code.note else ""
        self.lines = [f"{self.code.name}({arguments}):{note}"]
        if self.code.model is not None:
            self.lines.append(f"  as {self.code.model.name}")
            return "\n".join(self.lines)
        self._block(self.code.body, "  ")
        return "\n".join(self.lines)

    def _name(self, value: Value) -> str:
        if value.op == "const":
            number = value.attrs["value"]
            return f"{number:g}" if value.dtype in FLOATS else str(int(number))
        return self.names.setdefault(value, f"v{len(self.names)}")

    def _block(self, body: list[Statement], pad: str) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                self._loop(statement, pad)
            elif isinstance(statement, Store):
                place = self._place(
                    statement.storage, statement.address, statement.stride, statement.valid
                )
                self.lines.append(f"{pad}{place} = {self._name(statement.value)}")
            elif isinstance(statement, Zero):
                self.lines.append(f"{pad}{statement.storage.name}[:] = 0")
            elif statement.op != "const":
                wide = f"x{statement.lanes}" if statement.lanes > 1 else ""
                text = self._right(statement)
                self.lines.append(f"{pad}{self._name(statement)}:{statement.dtype}{wide} = {text}")

    def _loop(self, loop: Loop, pad: str) -> None:
        shared = "" if loop.unit is None else f", shared from unit {loop.unit}"
        self.lines.append(f"{pad}for {loop.var.name} in 0..{loop.var.size}{shared}:")
        for phi, start in zip(loop.carried, loop.starts, strict=True):
            self.lines.append(f"{pad}  {self._name(phi)} starts at {self._name(start)}")
        self._block(loop.body, pad + "  ")
        for phi, value in zip(loop.carried, loop.yields, strict=True):
            self.lines.append(f"{pad}  {self._name(phi)} <- {self._name(value)}")

    @staticmethod
    def _place(storage: Storage, address: Affine, stride: int, valid: int) -> str:
        span = "" if valid == 1 else f" : {valid}" + (f" by {stride}" if stride != 1 else "")
        return f"{storage.name}[{address!r}{span}]"

    def _right(self, value: Value) -> str:
        attrs, args = value.attrs, ", ".join(self._name(a) for a in value.args)
        if value.op == "load":
            place = self._place(attrs["storage"], attrs["address"], attrs["stride"], attrs["valid"])
            return f"{place} of row {args}" if args else place
        if value.op == "index":
            return f"{affine(attrs['address'])!r}" + (" + lanes" if attrs["step"] else "")
        if value.op == "keep":
            return f"keep({args}, first {attrs['valid']}, else {attrs['other']:g})"
        if value.op == "across":
            return f"across_{attrs['combine']}({args})"
        return f"{value.op}({args})"
