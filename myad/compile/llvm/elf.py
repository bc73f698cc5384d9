"""Puts an object file into memory that may be executed, without LLVM: ELF for x86-64 on Linux.

LLVM's code for our loops is one piece of code and some tables of constants, which it reaches
relative to itself, and calls of a few functions of the C library. So there are two relocations to
carry out; anything else in a file is refused, and left to LLVM. Memory is written first and then
made executable, never both at once.
Sources: System V ABI, AMD64 supplement 1.0, §4 (object files, relocation); elf.h.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from typing import Any, NamedTuple

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
IDENTITY = b"\x7fELF\x02\x01\x01"  # 64 bits, the lowest byte first, version 1
RELOCATABLE, X86_64 = 1, 62
CODE_OR_DATA, SYMBOLS, RELOCATIONS = 1, 2, 4  # types of sections
UNWINDING = 0x70000001  # SHT_X86_64_UNWIND: for exceptions, of which there are none
WRITABLE, ALLOCATED = 1, 2  # flags of sections
RELATIVE, CALL = 2, 4  # R_X86_64_PC32, R_X86_64_PLT32: 32 bits, relative to their own place
JUMP = b"\xff\x25\x02\x00\x00\x00\x66\x90"  # to the address that follows: jmp *2(%rip), and padding
STUB_BYTES = len(JUMP) + 8
# What the generated code may call; all else is refused.
CALLABLE = {"memcpy", "memset", "memmove", "bcmp"} | {
    name + kind
    for name in ("sin", "cos", "tanh", "exp", "log", "pow", "floor", "fma", "sqrt", "rint")
    for kind in ("", "f")
}


class Unloadable(ValueError):
    """What is in the file, or what the system forbids, that keeps it from being loaded here."""


class Section(NamedTuple):
    """A section header, as in elf.h."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class Code:
    """Loaded machine code; keep it alive as long as its functions are called.

    Raises: Unloadable.
    """

    def __init__(self, image: bytes) -> None:
        if not is_supported():
            raise Unloadable(f"{sys.platform}")
        try:
            self._read(image)
            self._place()
        except Unloadable:
            raise
        except (struct.error, LookupError, ValueError, OSError) as fault:
            raise Unloadable(str(fault)) from fault

    def address(self, name: str) -> int:
        """The address of a function of the file. Raises: Unloadable if there is none."""
        for label, _, place in self._symbols:
            if label == name and place is not None:
                return self._base + place
        raise Unloadable(f"no function {name}")

    def _read(self, image: bytes) -> None:
        """Sections that take part, each with its place in memory; symbols; relocations."""
        head = HEADER.unpack_from(image)
        if not head[0].startswith(IDENTITY) or head[1:3] != (RELOCATABLE, X86_64):
            raise Unloadable("no object file for x86-64")
        first, size, count = head[6], head[11], head[12]
        self._image = image
        self._sections = [
            Section(*SECTION.unpack_from(image, first + n * size)) for n in range(count)
        ]
        self._places: dict[int, int] = {}
        self._end = 0
        for number, section in enumerate(self._sections):
            if section.flags & ALLOCATED and section.size and section.type != UNWINDING:
                if section.type != CODE_OR_DATA or section.flags & WRITABLE:
                    raise Unloadable(f"section {number} is of type {section.type}")
                self._content(section)
                self._places[number] = -(-self._end // max(1, section.align)) * section.align
                self._end = self._places[number] + section.size
        self._symbols = self._named()

    def _content(self, section: Section) -> bytes:
        content = self._image[section.offset : section.offset + section.size]
        if len(content) != section.size:
            raise Unloadable("cut short")
        return content

    def _named(self) -> list[tuple[str, int, int | None]]:
        """Name, section and place in memory of every symbol; None of what is elsewhere."""
        (table,) = (s for s in self._sections if s.type == SYMBOLS)
        names = self._content(self._sections[table.link])
        found: list[tuple[str, int, int | None]] = []
        for name, _, _, section, value, _ in SYMBOL.iter_unpack(self._content(table)):
            label = names[name : names.index(b"\0", name)].decode("ascii")
            place = self._places[section] + value if section in self._places else None
            found.append((label, section, place))
        return found

    def _place(self) -> None:
        """Copy the sections into memory, carry out the relocations, and make it executable."""
        called = {label for label, section, _ in self._symbols if not section and label}
        self._stubs = {
            name: -(-self._end // 16) * 16 + n * STUB_BYTES for n, name in enumerate(sorted(called))
        }
        size = -(-self._end // 16) * 16 + len(called) * STUB_BYTES
        memory = mmap.mmap(-1, max(1, size), prot=mmap.PROT_READ | mmap.PROT_WRITE)
        for number, place in self._places.items():
            memory[place : place + self._sections[number].size] = self._content(
                self._sections[number]
            )
        for name, place in self._stubs.items():
            memory[place : place + STUB_BYTES] = JUMP + struct.pack("<Q", _library(name))
        for section in self._sections:
            if section.type == RELOCATIONS and section.info in self._places:
                for entry in RELOCATION.iter_unpack(self._content(section)):
                    self._relocate(memory, section.info, *entry)
        self._memory = memory
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if protect(self._base, len(memory), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "mprotect")

    def _relocate(self, memory: Any, section: int, offset: int, info: int, addend: int) -> None:
        kind, (label, home, target) = info & 0xFFFFFFFF, self._symbols[info >> 32]
        if kind == CALL and not home:
            target = self._stubs[label]
        if kind not in (RELATIVE, CALL) or target is None:
            raise Unloadable(f"relocation {kind} of {label}")
        if not 0 <= offset <= self._sections[section].size - 4:
            raise Unloadable("a relocation outside of its section")
        place = self._places[section] + offset
        struct.pack_into("<i", memory, place, target + addend - place)


def is_supported() -> bool:
    """Whether object files can be loaded here without LLVM."""
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def _library(name: str) -> int:
    """The address of a function of the C library or its mathematical part."""
    if name not in CALLABLE:
        raise Unloadable(f"a call of {name}")
    for library in (None, "libm.so.6"):
        try:
            function = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise Unloadable(f"no {name} in the C library")
