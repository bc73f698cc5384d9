"""An engine that prints without measure."""

import resource

MEGABYTE = 1 << 20


def test_ten_gigabytes_of_output_are_capped(trial, home):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = trial(f"flood:{10_000 * MEGABYTE}", timeout_s=300.0, log_cap=MEGABYTE)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert record.train.stdout_bytes == 10_000 * MEGABYTE
    assert grown < 100 * MEGABYTE
    log = (home / "results" / "r" / "trials" / "0-fake" / "train" / "stdout.log").read_bytes()
    assert len(log) < 1.2 * MEGABYTE
    assert b"bytes left out" in log
    assert log.startswith(b"xxx")
    assert log.endswith(b"xxx")
