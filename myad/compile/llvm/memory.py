"""Renders the loads and stores of loop code as LLVM IR: whole vectors, masked, or by element."""

from __future__ import annotations

from myad.compile.dtypes import BYTES, FLOATS
from myad.compile.kernels.index import Affine, Axis
from myad.compile.llvm.ir import MEMORY, Declarations, suffix_of, type_of, vector
from myad.compile.loops.loops import LoopCode, Store, Value
from myad.compile.schedule.layout import Storage


class Memory:
    """One LLVM function being written: its lines, the names of values, and access to memory."""

    def __init__(self, declarations: Declarations, code: LoopCode) -> None:
        self.declarations = declarations
        self.code = code
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        self.pointers = {s: f"%{s.name}" for s in code.storages}
        self.counters: dict[Axis, str] = {}
        self.count = 0
        self.label = "entry"
        self.addresses: list[dict[tuple[object, ...], str]] = [{}]

    def fresh(self) -> str:
        self.count += 1
        return f"%t.{self.count}"

    def emit(self, right: str) -> str:
        name = self.fresh()
        self.lines.append(f" {name} = {right}")
        return name

    def zero(self, storage: Storage) -> None:
        size = storage.size * BYTES[storage.dtype]
        name = "@llvm.memset.p0.i64"
        self.declarations.need(name, f"declare void {name}(ptr, i8, i64, i1)")
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
            read = self.masked_load(storage, address, lanes, attrs["valid"], row)
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

    def masked_load(
        self, storage: Storage, address: Affine, lanes: int, valid: int, row: str | None
    ) -> str:
        kind = type_of(storage.dtype, lanes)
        name = f"@llvm.masked.load.{suffix_of(storage.dtype, lanes)}.p0"
        line = f"declare {kind} {name}(ptr, i32, <{lanes} x i1>, {kind})"
        self.declarations.need(name, line)
        place, mask = self.pointer(storage, address, row), self.mask(lanes, valid)
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
            self.declarations.need(function, line)
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
