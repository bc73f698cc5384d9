"""The machine, its software and the state of the sources: what the manifest says of them."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from harness.machine.environment import recorded_environment
from harness.records.manifest import GitState
from harness.records.models import Machine

# what stays the same for as long as it is the same machine
LASTING = (
    "name_hash", "system", "architecture", "cpu", "physical_cores", "logical_cores",
    "usable_cores", "max_frequency_mhz", "virtual",
)  # fmt: skip


def host() -> dict[str, Any]:
    """Facts of the machine that may change a measurement; None where it does not tell.

    Sizes in bytes, frequencies in MHz. The name of the machine is kept as a short hash only.
    """
    memory = psutil.virtual_memory()
    return {
        "system": platform.system(),
        "release": platform.release(),
        "distribution": _distribution(),
        "architecture": platform.machine(),
        "cpu": cpu_model(),
        "cpu_flags": cpu_features(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(logical=True),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "max_frequency_mhz": _max_frequency(),
        "governor": governor(),
        "turbo": turbo(),
        "memory_bytes": memory.total,
        "virtual": _hypervisor(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "name_hash": name_hash(),
    }


def name_hash() -> str:
    """A short hash of the machine's name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits for a machine, from the facts that `host` gives.

    What a restart or an update may change (kernel, governor, some MB of memory) has no part in it.
    """
    gigabytes = round((facts.get("memory_bytes") or 0) / 2**30)
    lasting = [facts.get(name) for name in LASTING] + [gigabytes]
    return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()[:12]


def machine_record(name: str, findings: Sequence[str] = ()) -> Machine:
    """This machine as a record of a cluster's run."""
    facts = host()
    return Machine(
        id=fingerprint(facts),
        name=name,
        host=facts,
        environment=recorded_environment(),
        findings=list(findings),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def versions() -> dict[str, str]:
    """Python and the packages that a reader looks for first."""
    found = {"python": platform.python_version(), "implementation": sys.implementation.name}
    for name in ("myad-bench", "numpy", "llvmlite", "tensorflow", "keras", "torch", "jax"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def packages() -> dict[str, str]:
    """Every installed distribution and its version, sorted by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[name.lower().replace("_", "-")] = distribution.version
    return dict(sorted(found.items()))


def git_state(folder: Path) -> GitState | None:
    """Commit and uncommitted changes of the sources; None where it is no checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git(folder, "status", "--porcelain") or b""
    if not status.strip():
        return GitState(commit=commit.decode().strip(), dirty=False)
    changes = (_git(folder, "diff", "HEAD", "--binary") or b"") + status
    return GitState(
        commit=commit.decode().strip(), dirty=True, dirty_sha256=hashlib.sha256(changes).hexdigest()
    )


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    for key, value in _cpuinfo():
        if key in ("model name", "Model", "Hardware"):
            return value
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    return platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """The vector extensions among the processor's flags."""
    wanted = {"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "asimd", "neon", "sve"}
    for key, value in _cpuinfo():
        if key in ("flags", "Features"):
            return sorted(wanted & set(value.split()))
    return []


def governor() -> str | None:
    """The frequency governor of the first core."""
    return _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))


def turbo() -> bool | None:
    """Whether the clock may rise above its nominal value."""
    boost = _text(Path("/sys/devices/system/cpu/cpufreq/boost"))
    if boost is not None:
        return boost == "1"
    no_turbo = _text(Path("/sys/devices/system/cpu/intel_pstate/no_turbo"))
    return None if no_turbo is None else no_turbo == "0"


def _cpuinfo() -> list[tuple[str, str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _max_frequency() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return (frequency.max or None) if frequency else None


def _hypervisor() -> str | None:
    vendor = _text(Path("/sys/class/dmi/id/sys_vendor"))
    flags = [value for key, value in _cpuinfo() if key == "flags"]
    if flags and "hypervisor" in flags[0].split():
        return vendor or "virtual machine"
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _git(folder: Path, *arguments: str) -> bytes | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, "-C", str(folder), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
