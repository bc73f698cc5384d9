"""Renders loop code as LLVM IR: text with explicit vectors, one function per kernel.

Every storage is a `noalias` pointer, so that LLVM keeps accumulators in registers and moves loads
of weights out of loops. Sums may be reordered (`reassoc contract`), but NaN and infinity keep their
meaning: a run that diverges must show it.
"""

from __future__ import annotations

from math import isnan

from myad.compile.dtypes import BOOLEAN, FLOATS, KIND
from myad.compile.kernels.cost import CALLED
from myad.compile.kernels.index import Affine
from myad.compile.llvm.ir import (
    CAREFUL,
    FAST,
    TYPES,
    Declarations,
    conversion,
    literal,
    suffix_of,
    type_of,
    vector,
)
from myad.compile.llvm.memory import Memory
from myad.compile.llvm.routines import routine_text
from myad.compile.llvm.vectormath import VECTOR_FUNCTIONS, whole_power
from myad.compile.loops.loops import Loop, LoopCode, Statement, Store, Value, Zero
from myad.compile.loops.plan import Plan
from myad.compile.loops.routine import RoutineCode

_FLOAT_OPS = {"add": f"fadd {FAST}", "sub": f"fsub {FAST}", "mul": f"fmul {CAREFUL}",
              "div": f"fdiv {CAREFUL}", "rem": "frem"}  # fmt: skip
_INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor",
            "shl": "shl"}  # fmt: skip
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTRINSICS = {"abs": "fabs", "floor": "floor", "log": "log", "sqrt": "sqrt", "tanh": "tanh",
               "pow": "pow", "fma": "fma", "sin": "sin", "cos": "cos"}  # fmt: skip


class Renderer:
    """Collects functions and the declarations they need; `text()` is the module."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.declarations = Declarations()

    def text(self) -> str:
        """The LLVM IR of everything rendered so far."""
        attributes = (
            'attributes #0 = { nounwind "no-trapping-math"="true" "min-legal-vector-width"="512" }'
        )
        return "\n".join([*self.functions, *self.declarations.lines.values(), attributes, ""])

    def functions_of(self, plan: Plan) -> None:
        """Add every kernel of `plan`, each form once."""
        for code in plan.codes:
            if code.model is None:
                self.function(code)

    def function(self, code: LoopCode) -> None:
        """Add one kernel, as the function `@<its name>` of one pointer per storage."""
        if isinstance(code, RoutineCode):
            for plan, _ in code.routine.parts:
                self.functions_of(plan)
            self.functions.append(routine_text(code, self.declarations))
            return
        self.functions.append(_Function(self.declarations, code).text())


class _Function(Memory):
    def text(self) -> str:
        self.lines.append("entry:")
        if self.code.slice is not None:
            self.counters[self.code.slice] = "%slice"
        self.block(self.code.body)
        arguments = ", ".join(f"ptr noalias %{s.name}" for s in self.code.storages)
        arguments += ", i64 %units.from, i64 %units.to" if self.code.units else ""
        arguments += ", i64 %slice" if self.code.slice is not None else ""
        body = "\n".join(self.lines)
        return f"define internal void @{self.code.name}({arguments}) #0 {{\n{body}\n ret void\n}}\n"

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
        self.count += 1
        label, counter = f"loop.{self.count}", f"%{loop.var.name}.{self.count}"
        done, before = f"done{label[4:]}", self.label
        begin, end = "0", str(loop.var.size)
        if loop.unit is None:
            self.lines += [f" br label %{label}", f"{label}:"]
        else:
            begin, end = self.share(loop)
            some = self.emit(f"icmp slt i64 {begin}, {end}")
            self.lines += [f" br i1 {some}, label %{label}, label %{done}", f"{label}:"]
        place = len(self.lines)
        self.counters[loop.var], self.label = counter, label
        for phi in loop.carried:
            self.names[phi] = self.fresh()
        self.addresses.append({})
        self.block(loop.body)
        self.addresses.pop()
        phis = [f" {counter} = phi i64 [{begin}, %{before}], [{counter}.next, %{self.label}]"]
        for phi, start, value in zip(loop.carried, loop.starts, loop.yields, strict=True):
            kind = type_of(phi.dtype, phi.lanes)
            phis.append(
                f" {self.names[phi]} = phi {kind} [{self.names[start]}, %{before}], "
                f"[{self.names[value]}, %{self.label}]"
            )
        self.lines[place:place] = phis
        self.lines += [
            f" {counter}.next = add nuw nsw i64 {counter}, 1",
            f" {counter}.go = icmp ult i64 {counter}.next, {end}",
            f" br i1 {counter}.go, label %{label}, label %{done}",
            f"{done}:",
        ]
        self.label = done

    def share(self, loop: Loop) -> tuple[str, str]:
        """This thread's part of the turns of a shared loop: the first, and one behind the last."""
        names = []
        for bound in ("%units.from", "%units.to"):
            turn = self.emit(f"sub i64 {bound}, {loop.unit}")
            for word, limit in (("smax", 0), ("smin", loop.var.size)):
                name = self.declarations.intrinsic(word, "i64", 2, "i64")
                turn = self.emit(f"call i64 {name}(i64 {turn}, i64 {limit})")
            names.append(turn)
        return names[0], names[1]

    def value(self, value: Value) -> str:
        method = getattr(self, f"op_{value.op}", None)
        if method is not None:
            return method(value)
        args = [self.names[arg] for arg in value.args]
        return self.arithmetic(value, args)

    def arithmetic(self, value: Value, args: list[str]) -> str:
        operand = value.args[0]
        kind, dtype = type_of(operand.dtype, operand.lanes), operand.dtype
        sign = "s" if KIND[dtype] == "signed" else "u"
        if value.op in _FLOAT_COMPARE:
            if dtype in FLOATS:
                return self.emit(f"fcmp {_FLOAT_COMPARE[value.op]} {kind} {args[0]}, {args[1]}")
            word = value.op if value.op in ("eq", "ne") else sign + value.op
            return self.emit(f"icmp {word} {kind} {args[0]}, {args[1]}")
        if value.op == "neg":
            negated = f"fneg nsz {kind} " if dtype in FLOATS else f"sub {kind} {_zero(operand)}, "
            return self.emit(negated + args[0])
        if value.op == "shr":
            shift = "ashr" if sign == "s" else "lshr"
            return self.emit(f"{shift} {kind} {args[0]}, {args[1]}")
        if value.op == "rem" and dtype not in FLOATS:
            return self.whole_rest(value, args, sign)
        if value.op in (known := _FLOAT_OPS if dtype in FLOATS else _INT_OPS):
            return self.emit(f"{known[value.op]} {kind} {args[0]}, {args[1]}")
        if value.op == "abs" and dtype not in FLOATS:
            name = f"@llvm.abs.{suffix_of(dtype, operand.lanes)}"
            self.declarations.need(name, f"declare {kind} {name}({kind}, i1)")
            return self.emit(f"call {kind} {name}({kind} {args[0]}, i1 false)")
        return self.function_call(value, args)

    def whole_rest(self, value: Value, args: list[str], sign: str) -> str:
        """What is left of division; by 0 and −1, where the processor may trap, it is 0."""
        divisor = value.args[1]
        kind, mask = type_of(value.dtype, value.lanes), type_of("bool", value.lanes)
        one, minus = ((literal(n, value.dtype) if value.lanes == 1 else
                       vector([n] * value.lanes, value.dtype)) for n in (1, -1))  # fmt: skip
        safe = args[1]
        for trap in (_zero(divisor), *([minus] if sign == "s" else [])):
            test = self.emit(f"icmp eq {kind} {args[1]}, {trap}")
            safe = self.emit(f"select {mask} {test}, {kind} {one}, {kind} {safe}")
        return self.emit(f"{sign}rem {kind} {args[0]}, {safe}")

    def function_call(self, value: Value, args: list[str]) -> str:
        kind = type_of(value.dtype, value.lanes)
        operands = ", ".join(f"{kind} {arg}" for arg in args)
        function = VECTOR_FUNCTIONS.get(value.op)
        if value.op == "pow" and value.dtype not in FLOATS:
            function = whole_power
        if value.op in ("sin", "cos") and value.lanes == 1:
            function = None  # the library's scalar function is as good
        if function is not None:
            name, sources = function(value.dtype, value.lanes)
            for needed, source in sources.items():
                self.declarations.need(needed, source)
            return self.emit(f"call {kind} {name}({operands})")
        suffix = suffix_of(value.dtype, value.lanes)
        name = self.declarations.intrinsic(_INTRINSICS[value.op], kind, len(args), suffix)
        if value.op in CALLED and value.lanes > 1:
            name = self.by_lanes(value.op, name, kind, suffix, len(args))
        flags = "" if value.op == "fma" else "nsz "
        return self.emit(f"call {flags}{kind} {name}({operands})")

    def by_lanes(self, op: str, intrinsic: str, kind: str, suffix: str, count: int) -> str:
        """A function around an intrinsic that LLVM writes out lane by lane, as one call each.

        Written out once instead of wherever it is used: 400 tanh in a row compile six times faster.
        """
        names = [f"{kind} %x{n}" for n in range(count)]
        self.declarations.need(f"@{op}.{suffix}", (
            f"define internal {kind} @{op}.{suffix}({', '.join(names)}) noinline #0 {{\n"
            f" %y = call nsz {kind} {intrinsic}({', '.join(names)})\n ret {kind} %y\n}}"
        ))  # fmt: skip
        return f"@{op}.{suffix}"

    def op_const(self, value: Value) -> str:
        return literal(value.attrs["value"], value.dtype)

    def op_index(self, value: Value) -> str:
        address: Affine = value.attrs["address"]
        base = str(address.const)
        if address.terms:
            moving = self.moving(address)
            base = self.emit(f"add nsw i64 {moving}, {address.const}")
        kind = TYPES[value.dtype]
        # adding 0 gives the constant a name
        right = f"add i64 {base}, 0" if kind == "i64" else f"trunc i64 {base} to {kind}"
        scalar = self.emit(right)
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
        return self.extremum(value, "maximum", "ogt", "max")

    def op_min(self, value: Value) -> str:
        return self.extremum(value, "minimum", "olt", "min")

    def extremum(self, value: Value, name: str, compare: str, integer: str) -> str:
        """The larger or smaller operand; NaN if either is, as in NumPy."""
        kind = type_of(value.dtype, value.lanes)
        x, y = (self.names[arg] for arg in value.args)
        if value.dtype not in FLOATS:
            signed = KIND[value.dtype] == "signed"
            function = self.declarations.intrinsic(
                f"s{integer}" if signed else f"u{integer}",
                kind,
                2,
                suffix_of(value.dtype, value.lanes),
            )
            return self.emit(f"call {kind} {function}({kind} {x}, {kind} {y})")
        constants = [_is_constant(arg) for arg in value.args]
        if any(constants):  # a constant is never NaN: one compare keeps the NaN of the other
            if constants[1]:
                x, y = y, x
            mask = self.emit(f"fcmp {compare} {kind} {x}, {y}")
            mask_kind = type_of("bool", value.lanes)
            return self.emit(f"select {mask_kind} {mask}, {kind} {x}, {kind} {y}")
        function = self.declarations.intrinsic(name, kind, 2, suffix_of(value.dtype, value.lanes))
        return self.emit(f"call nsz {kind} {function}({kind} {x}, {kind} {y})")

    def op_cast(self, value: Value) -> str:
        source = value.args[0]
        name, kind = self.names[source], type_of(source.dtype, source.lanes)
        if value.dtype == "bool":
            test = "fcmp une" if source.dtype in FLOATS else "icmp ne"
            return self.emit(f"{test} {kind} {name}, {_zero(source)}")
        if source.dtype in FLOATS and value.dtype == "u64":
            return self.whole(name, kind, source)
        for word, dtype in conversion(source.dtype, value.dtype):
            new = type_of(dtype, value.lanes)
            name, kind = self.emit(f"{word} {kind} {name} to {new}"), new
        return name

    def whole(self, name: str, kind: str, source: Value) -> str:
        """A float as an unsigned integer of 64 bits, a negative one by the bits of the signed
        integer, as NumPy has it on x86-64: LLVM leaves what it is open."""
        new = type_of("u64", source.lanes)
        signed = self.emit(f"fptosi {kind} {name} to {new}")
        unsigned = self.emit(f"fptoui {kind} {name} to {new}")
        below = self.emit(f"fcmp olt {kind} {name}, {_zero(source)}")
        mask = type_of("bool", source.lanes)
        return self.emit(f"select {mask} {below}, {new} {signed}, {new} {unsigned}")

    def op_across(self, value: Value) -> str:
        (source,) = value.args
        kind, scalar = type_of(source.dtype, source.lanes), TYPES[value.dtype]
        combine = value.attrs["combine"]
        if value.dtype == "bool":
            suffix, combine = f"v{source.lanes}i1", BOOLEAN[combine]
        else:
            suffix = suffix_of(source.dtype, source.lanes)
        if combine == "add" and value.dtype in FLOATS:
            name = f"@llvm.vector.reduce.fadd.{suffix}"
            self.declarations.need(name, f"declare {scalar} {name}({scalar}, {kind})")
            start = literal(-0.0, value.dtype)
            operands = f"{scalar} {start}, {kind} {self.names[source]}"
            return self.emit(f"call {FAST} {scalar} {name}({operands})")
        if combine in ("max", "min"):
            signs = {"signed": "s", "unsigned": "u"}
            floating = value.dtype in FLOATS
            combine = f"f{combine}imum" if floating else signs[KIND[value.dtype]] + combine
        name = f"@llvm.vector.reduce.{combine}.{suffix}"
        self.declarations.need(name, f"declare {scalar} {name}({kind})")
        return self.emit(f"call {scalar} {name}({kind} {self.names[source]})")


def _is_constant(value: Value) -> bool:
    """Whether `value` is one known number, and a number at all."""
    source = value.args[0] if value.op == "spread" else value
    return source.op == "const" and not isnan(source.attrs["value"])


def _zero(value: Value) -> str:
    return "zeroinitializer" if value.lanes > 1 else literal(0, value.dtype)
