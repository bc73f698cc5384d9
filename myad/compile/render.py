"""Renders loop code as LLVM IR: text with explicit vectors, one function per kernel.

Every storage is a `noalias` pointer, so that LLVM keeps accumulators in registers and moves loads
of weights out of loops. Sums may be reordered (`reassoc contract`), but NaN and infinity keep their
meaning: a run that diverges must show it.
"""

from __future__ import annotations

import struct

from myad.compile.index import Affine, Axis
from myad.compile.loops import Loop, LoopCode, Statement, Storage, Store, Value, Zero
from myad.compile.vectormath import VECTOR_FUNCTIONS

TYPES = {"f32": "float", "f64": "double", "i32": "i32", "u32": "i32", "u8": "i8", "bool": "i1",
         "i64": "i64"}  # fmt: skip
MEMORY = {**TYPES, "bool": "i8"}
BYTES = {"f32": 4, "f64": 8, "i32": 4, "u32": 4, "u8": 1, "bool": 1, "i64": 8}
FAST = "nsz arcp contract reassoc afn"
FLOATS = ("f32", "f64")

_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor",
            "shr": "lshr", "shl": "shl"}  # fmt: skip
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INT_COMPARE = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
_INTRINSICS = {"abs": "fabs", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "pow": "pow",
               "fma": "fma", "sin": "sin", "cos": "cos"}  # fmt: skip


class Renderer:
    """Collects functions and the declarations they need; `text()` is the module."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.needed: dict[str, str] = {}

    def text(self) -> str:
        """The LLVM IR of everything rendered so far."""
        attributes = (
            'attributes #0 = { nounwind "no-trapping-math"="true" "min-legal-vector-width"="512" }'
        )
        return "\n".join([*self.functions, *self.needed.values(), attributes, ""])

    def function(self, code: LoopCode) -> None:
        """Add one kernel, as the function `@<its name>` of one pointer per storage."""
        self.functions.append(_Function(self, code).text())

    def intrinsic(self, name: str, kind: str, arguments: int, suffix: str) -> str:
        """Declare `llvm.<name>.<suffix>` of `arguments` operands of type `kind`; its name."""
        full = f"@llvm.{name}.{suffix}"
        operands = ", ".join([kind] * arguments)
        self.needed.setdefault(full, f"declare {kind} {full}({operands})")
        return full


def type_of(dtype: str, lanes: int, names: dict[str, str] = TYPES) -> str:
    """LLVM's name of a scalar or vector type."""
    return names[dtype] if lanes == 1 else f"<{lanes} x {names[dtype]}>"


def suffix_of(dtype: str, lanes: int) -> str:
    """LLVM's mangling of a type in intrinsic names, as in v16f32."""
    scalar = dtype if dtype in FLOATS else MEMORY[dtype]
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


def literal(value: float, dtype: str) -> str:
    """A scalar constant; floats as their exact bits."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype not in FLOATS:
        return str(int(value))
    if dtype == "f32":  # LLVM wants a float constant as a double that is exactly that float
        value = struct.unpack("<f", struct.pack("<f", value))[0] if abs(value) < 3.4e38 else value
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def vector(values: list[float], dtype: str) -> str:
    """A vector constant."""
    return "<" + ", ".join(f"{TYPES[dtype]} {literal(v, dtype)}" for v in values) + ">"


class _Function:
    def __init__(self, module: Renderer, code: LoopCode) -> None:
        self.module = module
        self.code = code
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        self.pointers = {s: f"%{s.name}" for s in code.storages}
        self.counters: dict[Axis, str] = {}
        self.count = 0
        self.label = "entry"
        self.addresses: list[dict[tuple[object, ...], str]] = [{}]

    def text(self) -> str:
        self.lines.append("entry:")
        self.block(self.code.body)
        arguments = ", ".join(f"ptr noalias %{s.name}" for s in self.code.storages)
        body = "\n".join(self.lines)
        return f"define internal void @{self.code.name}({arguments}) #0 {{\n{body}\n ret void\n}}\n"

    def fresh(self) -> str:
        self.count += 1
        return f"%t.{self.count}"

    def emit(self, right: str) -> str:
        name = self.fresh()
        self.lines.append(f" {name} = {right}")
        return name

    def block(self, body: list[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Value):
                self.names[statement] = self.value(statement)
            elif isinstance(statement, Store):
                self.store(statement)
            elif isinstance(statement, Zero):
                self.zero(statement.storage)
            else:
                self.loop(statement)

    def loop(self, loop: Loop) -> None:
        before, self.count = self.label, self.count + 1
        label, counter = f"loop{self.count}", f"%{loop.var.name}.{self.count}"
        self.lines += [f" br label %{label}", f"{label}:"]
        place = len(self.lines)
        self.counters[loop.var], self.label = counter, label
        for phi in loop.carried:
            self.names[phi] = self.fresh()
        self.addresses.append({})
        self.block(loop.body)
        self.addresses.pop()
        phis = [f" {counter} = phi i64 [0, %{before}], [{counter}.next, %{self.label}]"]
        for phi, start, value in zip(loop.carried, loop.starts, loop.yields, strict=True):
            kind = type_of(phi.dtype, phi.lanes)
            phis.append(
                f" {self.names[phi]} = phi {kind} [{self.names[start]}, %{before}], "
                f"[{self.names[value]}, %{self.label}]"
            )
        self.lines[place:place] = phis
        done = f"done{label[4:]}"
        self.lines += [
            f" {counter}.next = add nuw nsw i64 {counter}, 1",
            f" {counter}.go = icmp ult i64 {counter}.next, {loop.var.size}",
            f" br i1 {counter}.go, label %{label}, label %{done}",
            f"{done}:",
        ]
        self.label = done

    def zero(self, storage: Storage) -> None:
        size = storage.size * BYTES[storage.dtype]
        name = "@llvm.memset.p0.i64"
        self.module.needed.setdefault(name, f"declare void {name}(ptr, i8, i64, i1)")
        self.lines.append(
            f" call void {name}(ptr {self.pointers[storage]}, i8 0, i64 {size}, i1 false)"
        )

    def pointer(self, storage: Storage, address: Affine, row: str | None = None) -> str:
        """The address as a pointer: the moving part once per block, then a constant step."""
        kind = MEMORY[storage.dtype]
        key = (storage, frozenset(address.terms.items()), row)
        base = next((known[key] for known in self.addresses if key in known), None)
        if base is None:
            base = self.pointers[storage]
            if row is not None:
                wide = self.emit(f"zext i32 {row} to i64")
                step = self.emit(f"mul nuw nsw i64 {wide}, {storage.row}")
                base = self.emit(f"getelementptr inbounds {kind}, ptr {base}, i64 {step}")
            if address.terms:
                moving = self.moving(address)
                base = self.emit(f"getelementptr inbounds {kind}, ptr {base}, i64 {moving}")
            self.addresses[-1][key] = base
        if not address.const:
            return base
        return self.emit(f"getelementptr {kind}, ptr {base}, i64 {address.const}")

    def moving(self, address: Affine) -> str:
        total = ""
        for axis, factor in address.terms.items():
            term = self.counters[axis]
            if factor != 1:
                term = self.emit(f"mul nsw i64 {term}, {factor}")
            total = self.emit(f"add nsw i64 {total}, {term}") if total else term
        return total

    def value(self, value: Value) -> str:
        method = getattr(self, f"op_{value.op}", None)
        if method is not None:
            return method(value)
        args = [self.names[arg] for arg in value.args]
        return self.arithmetic(value, args)

    def arithmetic(self, value: Value, args: list[str]) -> str:
        operand = value.args[0]
        kind, dtype = type_of(operand.dtype, operand.lanes), operand.dtype
        if value.op in _FLOAT_COMPARE:
            if dtype in FLOATS:
                return self.emit(f"fcmp {_FLOAT_COMPARE[value.op]} {kind} {args[0]}, {args[1]}")
            compare = _INT_COMPARE[value.op]
            return self.emit(f"icmp {compare} {kind} {args[0]}, {args[1]}")
        if value.op == "neg" and dtype in FLOATS:
            return self.emit(f"fneg nsz {kind} {args[0]}")
        if value.op in _FLOAT_OPS and dtype in FLOATS:
            return self.emit(f"{_FLOAT_OPS[value.op]} {FAST} {kind} {args[0]}, {args[1]}")
        if value.op in _INT_OPS and dtype not in FLOATS:
            return self.emit(f"{_INT_OPS[value.op]} {kind} {args[0]}, {args[1]}")
        if value.op in {**_INTRINSICS, **VECTOR_FUNCTIONS} and dtype in FLOATS:
            return self.function_call(value, args)
        raise AssertionError(f"no LLVM for {value.op} of {dtype}")

    def function_call(self, value: Value, args: list[str]) -> str:
        kind = type_of(value.dtype, value.lanes)
        operands = ", ".join(f"{kind} {arg}" for arg in args)
        if value.op in VECTOR_FUNCTIONS:
            name, sources = VECTOR_FUNCTIONS[value.op](value.dtype, value.lanes)
            for needed, source in sources.items():
                self.module.needed.setdefault(needed, source)
            return self.emit(f"call {kind} {name}({operands})")
        suffix = suffix_of(value.dtype, value.lanes)
        name = self.module.intrinsic(_INTRINSICS[value.op], kind, len(args), suffix)
        flags = "" if value.op == "fma" else "nsz "
        return self.emit(f"call {flags}{kind} {name}({operands})")

    def op_const(self, value: Value) -> str:
        return literal(value.attrs["value"], value.dtype)

    def op_index(self, value: Value) -> str:
        address: Affine = value.attrs["address"]
        base = str(address.const)
        if address.terms:
            moving = self.moving(address)
            base = self.emit(f"add nsw i64 {moving}, {address.const}")
        scalar = self.emit(f"trunc i64 {base} to i32")
        if value.lanes == 1:
            return scalar
        wide = self.splat(scalar, value.dtype, value.lanes)
        steps = [value.attrs["step"] * lane for lane in range(value.lanes)]
        kind = type_of(value.dtype, value.lanes)
        return self.emit(f"add {kind} {wide}, {vector(steps, value.dtype)}")

    def splat(self, scalar: str, dtype: str, lanes: int) -> str:
        kind = type_of(dtype, lanes)
        one = self.emit(f"insertelement {kind} poison, {TYPES[dtype]} {scalar}, i32 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.emit(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def op_spread(self, value: Value) -> str:
        source = value.args[0]
        if source.op == "const":
            return vector([source.attrs["value"]] * value.lanes, value.dtype)
        return self.splat(self.names[source], value.dtype, value.lanes)

    def op_pack(self, value: Value) -> str:
        kind, scalar = type_of(value.dtype, value.lanes), TYPES[value.dtype]
        result = "zeroinitializer"
        for lane, arg in enumerate(value.args):
            one = self.names[arg]
            result = self.emit(f"insertelement {kind} {result}, {scalar} {one}, i32 {lane}")
        return result

    def op_interleave(self, value: Value) -> str:
        left, right = (self.names[arg] for arg in value.args)
        lanes = value.lanes // 2
        kind = type_of(value.dtype, lanes)
        order = ", ".join(f"i32 {lane}, i32 {lane + lanes}" for lane in range(lanes))
        mask = f"<{value.lanes} x i32> <{order}>"
        return self.emit(f"shufflevector {kind} {left}, {kind} {right}, {mask}")

    def op_keep(self, value: Value) -> str:
        valid, other = value.attrs["valid"], value.attrs["other"]
        kind = type_of(value.dtype, value.lanes)
        mask = vector([lane < valid for lane in range(value.lanes)], "bool")
        rest = vector([other] * value.lanes, value.dtype)
        name = self.names[value.args[0]]
        return self.emit(f"select <{value.lanes} x i1> {mask}, {kind} {name}, {kind} {rest}")

    def op_select(self, value: Value) -> str:
        mask, yes, no = (self.names[arg] for arg in value.args)
        kind = type_of(value.dtype, value.lanes)
        mask_kind = type_of("bool", value.lanes)
        return self.emit(f"select {mask_kind} {mask}, {kind} {yes}, {kind} {no}")

    def op_not(self, value: Value) -> str:
        kind = type_of("bool", value.lanes)
        ones = "true" if value.lanes == 1 else vector([1] * value.lanes, "bool")
        return self.emit(f"xor {kind} {self.names[value.args[0]]}, {ones}")

    def op_max(self, value: Value) -> str:
        return self.extremum(value, "maximum", "ogt", "smax")

    def op_min(self, value: Value) -> str:
        return self.extremum(value, "minimum", "olt", "smin")

    def extremum(self, value: Value, name: str, compare: str, integer: str) -> str:
        """The larger or smaller operand; NaN if either is, as in NumPy."""
        kind = type_of(value.dtype, value.lanes)
        x, y = (self.names[arg] for arg in value.args)
        if value.dtype not in FLOATS:
            function = self.module.intrinsic(integer, kind, 2, suffix_of(value.dtype, value.lanes))
            return self.emit(f"call {kind} {function}({kind} {x}, {kind} {y})")
        constants = [_is_constant(arg) for arg in value.args]
        if any(constants):  # a constant is never NaN: one compare keeps the NaN of the other
            if constants[1]:
                x, y = y, x
            mask = self.emit(f"fcmp {compare} {kind} {x}, {y}")
            mask_kind = type_of("bool", value.lanes)
            return self.emit(f"select {mask_kind} {mask}, {kind} {x}, {kind} {y}")
        function = self.module.intrinsic(name, kind, 2, suffix_of(value.dtype, value.lanes))
        return self.emit(f"call nsz {kind} {function}({kind} {x}, {kind} {y})")

    def op_cast(self, value: Value) -> str:
        source = value.args[0]
        old, new = type_of(source.dtype, source.lanes), type_of(value.dtype, value.lanes)
        word = _conversion(source.dtype, value.dtype)
        if word is None:
            return self.names[source]
        if value.dtype == "bool":
            zero = "zeroinitializer" if source.lanes > 1 else literal(0, source.dtype)
            test = "fcmp une" if source.dtype in FLOATS else "icmp ne"
            return self.emit(f"{test} {old} {self.names[source]}, {zero}")
        return self.emit(f"{word} {old} {self.names[source]} to {new}")

    def op_across(self, value: Value) -> str:
        (source,) = value.args
        kind, scalar = type_of(source.dtype, source.lanes), TYPES[value.dtype]
        suffix, combine = suffix_of(source.dtype, source.lanes), value.attrs["combine"]
        if combine == "add" and value.dtype in FLOATS:
            name = f"@llvm.vector.reduce.fadd.{suffix}"
            self.module.needed.setdefault(name, f"declare {scalar} {name}({scalar}, {kind})")
            start = literal(-0.0, value.dtype)
            operands = f"{scalar} {start}, {kind} {self.names[source]}"
            return self.emit(f"call {FAST} {scalar} {name}({operands})")
        prefix = {"max": "fmaximum", "min": "fminimum"} if value.dtype in FLOATS else {
            "add": "add", "max": "smax", "min": "smin"}  # fmt: skip
        name = f"@llvm.vector.reduce.{prefix[combine]}.{suffix}"
        self.module.needed.setdefault(name, f"declare {scalar} {name}({kind})")
        return self.emit(f"call {scalar} {name}({kind} {self.names[source]})")

    def op_load(self, value: Value) -> str:
        attrs, lanes = value.attrs, value.lanes
        storage, address, stride = attrs["storage"], attrs["address"], attrs["stride"]
        row = self.names[value.args[0]] if value.args else None
        if lanes == 1 or (stride == 1 and attrs["valid"] == lanes):
            read = self.read(storage, address, lanes, row)
        elif stride == 2 and attrs["valid"] == lanes and self.fits(storage, address, 2 * lanes):
            wide = self.read(storage, address, 2 * lanes, row)
            read = self.shuffle(wide, storage, 2 * lanes, list(range(0, 2 * lanes, 2)))
        elif stride == 1 and storage.dtype in FLOATS:
            read = self.masked_load(storage, address, lanes, attrs["valid"])
        else:
            read = self.gather(value, row)
        if storage.dtype == "bool":
            return self.emit(f"trunc {type_of('u8', lanes)} {read} to {type_of('bool', lanes)}")
        return read

    @staticmethod
    def fits(storage: Storage, address: Affine, count: int) -> bool:
        limit = storage.row if storage.kind == "stream" else storage.size
        return address.bounds()[1] + count <= limit

    def read(self, storage: Storage, address: Affine, lanes: int, row: str | None) -> str:
        kind, width = type_of(storage.dtype, lanes, MEMORY), BYTES[storage.dtype]
        place = self.pointer(storage, address, row)
        return self.emit(f"load {kind}, ptr {place}, align {width}")

    def shuffle(self, name: str, storage: Storage, lanes: int, order: list[int]) -> str:
        kind = type_of(storage.dtype, lanes, MEMORY)
        mask = ", ".join(f"i32 {lane}" for lane in order)
        return self.emit(
            f"shufflevector {kind} {name}, {kind} poison, <{len(order)} x i32> <{mask}>"
        )

    def masked_load(self, storage: Storage, address: Affine, lanes: int, valid: int) -> str:
        kind = type_of(storage.dtype, lanes)
        name = f"@llvm.masked.load.{suffix_of(storage.dtype, lanes)}.p0"
        line = f"declare {kind} {name}(ptr, i32, <{lanes} x i1>, {kind})"
        self.module.needed.setdefault(name, line)
        place, mask = self.pointer(storage, address), self.mask(lanes, valid)
        width = BYTES[storage.dtype]
        return self.emit(
            f"call {kind} {name}(ptr {place}, i32 {width}, {mask}, {kind} zeroinitializer)"
        )

    @staticmethod
    def mask(lanes: int, valid: int) -> str:
        return f"<{lanes} x i1> " + vector([lane < valid for lane in range(lanes)], "bool")

    def gather(self, value: Value, row: str | None) -> str:
        attrs = value.attrs
        storage = attrs["storage"]
        kind = type_of(storage.dtype, value.lanes, MEMORY)
        result = "zeroinitializer"
        for lane in range(attrs["valid"]):
            one = self.read(storage, attrs["address"] + lane * attrs["stride"], 1, row)
            scalar = MEMORY[storage.dtype]
            result = self.emit(f"insertelement {kind} {result}, {scalar} {one}, i32 {lane}")
        return result

    def store(self, store: Store) -> None:
        storage, lanes = store.storage, store.value.lanes
        name = self.names[store.value]
        if storage.dtype == "bool":
            kinds = type_of("bool", lanes), type_of("u8", lanes)
            name = self.emit(f"zext {kinds[0]} {name} to {kinds[1]}")
        kind, width = type_of(storage.dtype, lanes, MEMORY), BYTES[storage.dtype]
        if lanes == 1 or (store.stride == 1 and store.valid == lanes):
            place = self.pointer(storage, store.address)
            self.lines.append(f" store {kind} {name}, ptr {place}, align {width}")
        elif store.stride == 1 and storage.dtype in FLOATS:
            function = f"@llvm.masked.store.{suffix_of(storage.dtype, lanes)}.p0"
            line = f"declare void {function}({kind}, ptr, i32, <{lanes} x i1>)"
            self.module.needed.setdefault(function, line)
            place, mask = self.pointer(storage, store.address), self.mask(lanes, store.valid)
            self.lines.append(
                f" call void {function}({kind} {name}, ptr {place}, i32 {width}, {mask})"
            )
        else:
            self.scatter(store, name, kind)

    def scatter(self, store: Store, name: str, kind: str) -> None:
        scalar, width = MEMORY[store.storage.dtype], BYTES[store.storage.dtype]
        for lane in range(store.valid):
            one = self.emit(f"extractelement {kind} {name}, i32 {lane}")
            place = self.pointer(store.storage, store.address + lane * store.stride)
            self.lines.append(f" store {scalar} {one}, ptr {place}, align {width}")


def _is_constant(value: Value) -> bool:
    return value.op == "const" or (value.op == "spread" and value.args[0].op == "const")


def _conversion(old: str, new: str) -> str | None:
    """LLVM's word for a conversion, None if the bits stay as they are."""
    if old in FLOATS and new in FLOATS:
        return "fpext" if new == "f64" else "fptrunc"
    if old in FLOATS:
        return "fptoui" if new in ("u32", "u8") else "fptosi"
    if new in FLOATS:
        return "sitofp" if old == "i32" else "uitofp"
    if BYTES[old] == BYTES[new] and "bool" not in (old, new):
        return None
    return "trunc" if BYTES[new] < BYTES[old] else "zext"
