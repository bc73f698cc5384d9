"""What the harness raises on purpose; `bench` prints each as one line and exits with its code."""

from harness.safe.text import one_line


class BenchError(Exception):
    """The command cannot do what was asked; the message says why and what to do.

    Its text is one line whatever the names in it, which may be a stranger's: line ends and what a
    terminal would obey are escapes.

    `exit_code` is the exit code of `bench`: 1 a regression or a failed check, 2 wrong usage,
    3 nothing valid was measured, 4 inconclusive, 130 interrupted.
    """

    exit_code = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(BenchError):
    """A wrong name, option, value or file given by the user; nothing has been written."""

    exit_code = 2


class Interrupted(BenchError):
    """A signal asked the command to end, and it has, with all that it had started."""

    exit_code = 130


class NothingMeasuredError(BenchError):
    """No trial is valid, so there is no number to give."""

    exit_code = 3


class DataError(UsageError):
    """A data file is damaged, malicious, missing or not the one that was asked for."""


class RecordError(UsageError):
    """A run's manifest or records cannot be read; the message names file and line."""
