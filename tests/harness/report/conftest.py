"""Synthetic runs, for what reads the records of a run."""

from tests.fakes.runs import make_run  # noqa: F401 (a fixture)
