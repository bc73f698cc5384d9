"""One engine, once.

Finding engines, the job it gets, its two processes, reading its answer without trust.

In: an engine's command, a workload, data. Out: a `records.models.Trial` with a typed outcome.
"""
