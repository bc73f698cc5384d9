"""Where the time goes: every engine once with its profiler on, operation by operation.

In: a workload and engines. Out: a `Profile` (`model`), kept as `profile.json`. `request` runs the
jobs, `work` says how many operations a step needs, `peak` what the machine can do, `trace` writes
what Perfetto opens. No time of this room enters a verdict.
"""
