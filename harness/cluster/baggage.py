"""The files of a trial that come home with its record: what reports read, and logs."""

import zlib
from pathlib import Path

# What engine and harness leave in a trial's folder, without the weights; the order is that in which
# they are packed, so that of too much the logs stay behind: their ends are in the record.
FILES = tuple(
    f"{process}/{name}"
    for name in ("predictions.npy", "memory.csv", "report.jsonl", "job.json", "stderr.log",
                 "stdout.log")
    for process in ("train", "test")
)  # fmt: skip
CAP = 4 << 20  # bytes of one file, packed or not: 4 million predictions
TOTAL = 2 << 20  # bytes of all of them, packed


def pack(folder: Path) -> dict[str, bytes]:
    """Name -> content, compressed; what is no plain file or too large is left out."""
    found: dict[str, bytes] = {}
    room = TOTAL
    for name in FILES:
        path = folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size > CAP:
            continue
        content = zlib.compress(path.read_bytes(), 6)
        if len(content) <= room:
            found[name] = content
            room -= len(content)
    return found


def unpack(baggage: object, folder: Path) -> None:
    """Write files that came with a record. Raises: ValueError for any other name or size."""
    if not isinstance(baggage, dict):
        raise ValueError("the files of a record are no table.")
    for name, content in baggage.items():
        if name not in FILES or not isinstance(content, bytes) or len(content) > TOTAL:
            raise ValueError(f"a file that no trial has: {str(name)[:80]!r}.")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_inflated(name, content))


def _inflated(name: str, content: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(content, CAP)
    except zlib.error as error:
        raise ValueError(f"{name}: {error}.") from error
    if stream.unconsumed_tail or not stream.eof:
        raise ValueError(f"{name}: more than {CAP} bytes, or cut off.")
    return found
