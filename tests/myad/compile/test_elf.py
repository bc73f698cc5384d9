"""Object files are loaded by our own loader, or refused; damaged ones never crash."""

import ctypes
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import myad
from myad.compile.llvm import elf
from myad.compile.llvm.native import NativeModule, object_code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is kept elsewhere")
needs_elf = pytest.mark.skipif(not elf.is_supported(), reason="no ELF for x86-64 here")
X = np.linspace(-2.0, 3.0, 37)
ADD = "define double @run(double %x) {\n %y = fadd double %x, 1.25\n ret double %y\n}"


@needs_elf
def test_an_object_file_is_loaded_and_its_memory_is_not_writable():
    code = elf.Code(object_code(ADD))
    run = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code.address("run"))
    assert run(2.0) == 3.25
    with pytest.raises(elf.Unloadable, match="no function walk"):
        code.address("walk")
    found = [
        line.split()[1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        for low, high in [[int(end, 16) for end in line.split()[0].split("-")]]
        if low <= code.address("run") < high
    ]
    assert [modes[:3] for modes in found] == ["r-x"]


@needs_elf
@pytest.mark.parametrize(
    ("ir", "reason"),
    [
        ("@x = global i32 1\n" + ADD, "section"),
        ("declare i32 @system(ptr)\n@c = constant [3 x i8] c\"ls\\00\"\ndefine void @run() {\n"
         " %r = call i32 @system(ptr @c)\n ret void\n}", "a call of system"),
        ("@sin = external global double\ndefine double @run() {\n %y = load double, ptr @sin\n"
         " ret double %y\n}", "relocation"),
    ],
)  # fmt: skip
def test_what_is_not_code_of_ours_is_refused(ir, reason):
    with pytest.raises(elf.Unloadable, match=reason):
        elf.Code(object_code(ir))


@needs_elf
def test_damaged_object_files_are_refused_or_loaded_but_never_crash():
    """The headers, symbols and relocations, each byte changed; the code itself is not run."""
    image = object_code(myad.jit(lambda x: myad.sin(x) ** 2.5).lower(X).ir)
    rng = np.random.default_rng(3)
    refused = 0
    for length in rng.integers(0, len(image), 200):
        with pytest.raises(elf.Unloadable):
            elf.Code(image[:length])
    for place in rng.integers(0, len(image), 2000):
        changed = bytearray(image)
        changed[place] ^= 1 << int(rng.integers(8))
        try:
            elf.Code(bytes(changed)).address("run")
        except elf.Unloadable:
            refused += 1
    assert refused > 100


def test_text_and_names_of_functions_are_listed_in_one_place():
    """Whatever the renderer calls of the C library may be called by what is loaded."""
    from myad.compile.llvm.render import _INTRINSICS

    called = {name for name in _INTRINSICS.values() if name != "fabs"}
    assert called <= {re.sub("f$", "", name) for name in elf.CALLABLE} | elf.CALLABLE


def test_a_module_loaded_by_llvm_gives_addresses(monkeypatch):
    monkeypatch.setattr(elf, "is_supported", lambda: False)
    assert NativeModule(object_code(ADD)).address("run") > 0
