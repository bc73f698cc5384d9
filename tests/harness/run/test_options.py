"""Texts of the command line as numbers."""

import os

import pytest

from harness.errors import UsageError
from harness.run.options import RunOptions, check_run_name, parse_cpus, parse_duration

DURATIONS = {"90": 90.0, "90s": 90.0, "1.5m": 90.0, "2 min": 120.0, "2h": 7200.0}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations(text, seconds):
    assert parse_duration(text, "--timeout") == seconds


@pytest.mark.parametrize("text", ["", "-3", "0", "3x", "1e9", "h", "nan"])
def test_no_durations(text):
    with pytest.raises(UsageError, match="--timeout"):
        parse_duration(text, "--timeout")


@pytest.mark.parametrize("name", ["a", "A-1._b", "x" * 64, "..a"])
def test_run_names(name):
    check_run_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "x" * 65, "a\n", "\0"])
def test_no_run_names(name):
    with pytest.raises(UsageError, match="--name"):
        check_run_name(name)


def test_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert parse_cpus("3,0-1,1") == (0, 1, 3)
    for text in ("", "1-", "4", "3-1", "0-99999999"):
        with pytest.raises(UsageError, match="--cpus"):
            parse_cpus(text)


def test_pinning_needs_a_processor_per_thread():
    with pytest.raises(UsageError, match="1 processors for --threads 2"):
        RunOptions(threads=2, cpus=(0,))


def test_system_that_cannot_pin(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    with pytest.raises(UsageError, match="cannot pin"):
        parse_cpus("0")
