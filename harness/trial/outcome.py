"""From what was seen of a process to its record: which outcome, why, and all its figures."""

import signal
from pathlib import Path
from typing import Any

from harness.machine.noise import energy_j, witnesses
from harness.process.supervise import Limits, Measurement
from harness.process.timeline import peaks
from harness.records.models import Checkpoint, ProcessResult
from harness.safe import files
from harness.safe.text import one_line
from harness.trial.answer import (
    EngineReport,
    Fault,
    check_checkpoints,
    check_report,
    check_weights,
    read_report,
)

TAIL_BYTES = 2000  # of each log, kept in the record for the report
# Runtimes have threads that start up, poll or clear away, so a process may show somewhat more CPU
# than its allowance. Two busy threads read 1.9 and more.
CPU_RATIO_SLACK = 0.5
CPU_RATIO_FROM_S = 1.0  # a ratio of shorter times says little


def conclude(
    seen: Measurement,
    job: dict[str, Any],
    folder: Path,
    limits: Limits,
    examples: int,
    kept: Path | None = None,
) -> ProcessResult:
    """The record of one process.

    Args:
        seen: what the harness and the launcher saw.
        job: what the engine had been asked to do.
        folder: the process's folder, with its logs and its report.
        examples: how many training images there are.
        kept: the folder with copies of the checkpoints, where the job asked for any.
    """
    result = _figures(seen)
    result.stdout_tail, result.stderr_tail = (
        _tail(folder / "stdout.log"),
        _tail(folder / "stderr.log"),
    )
    report = EngineReport()
    try:
        fault = _process_fault(seen, result, limits)
        try:
            report = read_report(Path(job["report"]), below=folder.parent)
        except Fault as unreadable:
            raise fault or unreadable from None
        _raise_if(_after_result(fault, report, job, limits))
        check_report(report, job, result.wall_s or 0.0, examples)
        _check_threads(result, job["threads"])
        if job["phase"] == "train":
            trained = check_weights(job, below=folder.parent)
            if seen.checkpoints is not None and kept is not None:
                check_checkpoints(seen.checkpoints, job, kept, trained)
    except Fault as fault:
        result.outcome, result.reason = fault.outcome, fault.reason
    _add_report(result, report)
    return result


def _figures(seen: Measurement) -> ProcessResult:
    """The numbers of launcher, sampler and witnesses, as a record that is "ok" so far."""
    ended = seen.ended
    if not ended:
        return ProcessResult(outcome="ok", outer_wall_s=seen.outer_wall_s)
    left = ended["left_behind"]
    user_s, system_s = ended["user_s"] + left["user_s"], ended["system_s"] + left["system_s"]
    wall_s = (ended["end_ns"] - ended["start_ns"]) / 1e9
    # processes whose parent ignored their end are in nobody's books; the sampler may have seen them
    sampled_s = sum(seen.timeline.cpu_s.values())
    lost = sampled_s > 1.05 * (user_s + system_s) + 0.05 or not ended.get("adopts", True)
    peak, tree_peak = peaks(
        seen.timeline,
        max(ended["max_rss"], left["max_rss"]),
        seen.group_peak,
        ended["memory_method"],
    )
    result = ProcessResult(
        outcome="ok",
        wall_s=wall_s,
        outer_wall_s=seen.outer_wall_s,
        user_s=user_s,
        system_s=system_s,
        cpu_bound="lower" if lost else "exact",
        cpu_ratio=(user_s + system_s) / wall_s if wall_s else None,
        peak_rss=peak,
        tree_peak=tree_peak,
        exit_code=ended["exit_code"],
        signal=_signal_name(ended["signal"]),
        threads_seen=seen.timeline.most_threads or None,
        sampler_s=seen.timeline.sampler_s,
        energy_j=energy_j(seen.before, seen.after),
        witnesses=witnesses(seen.before, seen.after, user_s + system_s),
        degraded=_degraded(seen),
        **{key: ended[key] for key in COUNTS},
    )
    if seen.checkpoints is not None:
        result.checkpoints_method = seen.checkpoints.method
        result.checkpoints = [
            Checkpoint(epoch=epoch, seconds=(at_ns - ended["start_ns"]) / 1e9)
            for epoch, at_ns in sorted(seen.checkpoints.at_ns.items())
        ]
    if left["left"]:
        many = f"{left['left']} processes were" if left["left"] > 1 else "one process was"
        result.reason = f"{many} left behind and killed."
    return result


COUNTS = (
    "minor_faults",
    "major_faults",
    "voluntary_switches",
    "involuntary_switches",
    "stdout_bytes",
    "stderr_bytes",
)


def _degraded(seen: Measurement) -> list[str]:
    words = list(seen.ended.get("degraded", []))
    if seen.ended["max_rss"] <= seen.ended["floor_bytes"]:
        floor = seen.ended["floor_bytes"] / 1e6
        words.append(f"a peak below the launcher's own {floor:.1f} MB cannot be told")
    if seen.timeline.most_processes > 1 and seen.group_peak is None:
        words.append("no cgroup of its own: the peak of several processes is sampled")
    return words


def _process_fault(seen: Measurement, result: ProcessResult, limits: Limits) -> Fault | None:
    """What the end of the process alone says, before its report is read."""
    if seen.spoiled:
        return Fault("contract_broken", f"the engine replaced its own folder: {seen.spoiled}.")
    after = f"after {result.wall_s or seen.outer_wall_s:.2f} s"
    if not seen.ended:
        outcome = "interrupted" if "launcher ended" in seen.failure else "not_started"
        return Fault(outcome, f"{seen.failure}.")  # type: ignore[arg-type]
    if seen.stopped == "interrupted":
        return Fault("interrupted", f"stopped {after} because the run was interrupted.")
    if seen.stopped == "timeout":
        return Fault("timeout", f"stopped {after}: the limit is {limits.timeout_s:g} s.")
    if seen.stopped == "hang":
        return Fault(
            "hang_after_result",
            f"still running {limits.exit_grace_s:g} s after its result; stopped {after}.",
        )
    if seen.stopped == "report":
        return Fault("bad_result", f"its report grew without end; stopped {after}.")
    return _exit_fault(seen, result, after)


def _exit_fault(seen: Measurement, result: ProcessResult, after: str) -> Fault | None:
    if result.signal is not None:
        if result.signal == "SIGKILL" and _kernel_killed_for_memory(seen):
            return Fault("out_of_memory", f"killed by the kernel for want of memory {after}.")
        return Fault("signal", f"ended by {result.signal} {after}.")
    if result.exit_code and seen.group_oom_kills:
        return Fault(
            "out_of_memory",
            f"exit code {result.exit_code} {after}; for want of memory the kernel had killed "
            f"{seen.group_oom_kills} of its processes.",
        )
    if result.exit_code:
        last = _last_line(result.stderr_tail)
        outcome = "out_of_memory" if "MemoryError" in last.split(":")[0] else "exit_nonzero"
        return Fault(outcome, f"exit code {result.exit_code} {after}. {last}".strip())  # type: ignore[arg-type]
    return None


def _after_result(
    fault: Fault | None, report: EngineReport, job: dict[str, Any], limits: Limits
) -> Fault | None:
    """A timeout of an engine that had already given its result is a hang after the result."""
    if fault is None or fault.outcome != "timeout":
        return fault
    if report.done is not None and report.done.nonce == job["nonce"]:
        return Fault(
            "hang_after_result",
            f"gave its result, then ran into the limit of {limits.timeout_s:g} s.",
        )
    return fault


def _raise_if(fault: Fault | None) -> None:
    if fault is not None:
        raise fault


def _check_threads(result: ProcessResult, threads: int) -> None:
    """CPU time over wall time may not exceed what the allowed threads can use."""
    used = (result.user_s or 0.0) + (result.system_s or 0.0)
    if used < CPU_RATIO_FROM_S or result.cpu_ratio is None:
        return
    if result.cpu_ratio > threads + CPU_RATIO_SLACK:
        raise Fault(
            "contract_broken",
            f"threads: {used:.1f} s of CPU in {result.wall_s:.1f} s is {result.cpu_ratio:.1f} "
            f"processors busy, the job allows {threads}.",
        )


def _add_report(result: ProcessResult, report: EngineReport) -> None:
    result.phases = report.phases
    result.epochs = report.epochs
    if result.wall_s is not None and sum(report.phases.values()) <= result.wall_s:
        result.start_up_and_exit_s = result.wall_s - sum(report.phases.values())
    if report.done is not None:
        result.parameters = report.done.parameters
        result.layers = report.done.layers
        result.dtype = report.done.dtype
        result.batch_size = report.done.batch_size
        result.threads = report.done.threads
        result.versions = report.done.versions


def _kernel_killed_for_memory(seen: Measurement) -> bool:
    if seen.group_oom_kills:
        return True
    before, after = seen.before.oom_kills, seen.after.oom_kills
    return before is not None and after is not None and after > before


def _signal_name(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(path: Path) -> str:
    """The end of a log as text; bytes that are not text are shown as replacement marks.

    Of a log that the engine has replaced by something else, what that is.
    """
    try:
        content = files.tail(path, TAIL_BYTES, below=path.parent.parent)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"[{path.name}: {error.strerror}]"
    return content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return one_line(lines[-1])[:300] if lines else ""
