"""Fetch a data set by name: from a mirror, its SHA-256 checked, then converted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.data.cache import DataSet, cache_folder, store
from harness.data.local import from_system
from harness.data.sources import SOURCES, Source
from harness.errors import BenchError, DataError
from harness.safe.text import flat

TIMEOUT_S = 30
OnProgress = Callable[[str, int, int], None]  # file, bytes so far, bytes in all (0 if not known)


class FetchError(BenchError):
    """No mirror gave the file; the message says what each of them answered."""


def fetch(
    name: str,
    *,
    mirrors: Sequence[str] = (),
    on_progress: OnProgress = lambda file, done, total: None,
) -> DataSet:
    """Fetch data set `name`, unless a system package has it here, and store it in the cache.

    Args:
        mirrors: addresses of folders that are tried before the known ones.
    Raises: DataError for an unknown name or a file that is not the published one, FetchError if no
        mirror answers.
    """
    source = _source(name)
    local = from_system(source)
    if local is not None:
        return local
    folder = cache_folder() / "downloads" / name
    folder.mkdir(parents=True, exist_ok=True)
    paths, origin = {}, ""
    for file, sha256 in source.files.items():
        paths[file], origin = _download(source, file, sha256, folder, mirrors, on_progress)
    return store(name, source.convert(paths), classes=source.classes, source=origin)


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise DataError(f"no data set '{name}' to fetch; allowed: {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]


def _download(
    source: Source,
    file: str,
    sha256: str,
    folder: Path,
    mirrors: Sequence[str],
    on_progress: OnProgress,
) -> tuple[Path, str]:
    import pooch

    pooch.get_logger().setLevel("ERROR")  # what went wrong is in the exception
    answers = []
    for mirror in [address.rstrip("/") + "/" for address in [*mirrors, *source.mirrors]]:
        try:
            path = pooch.retrieve(
                mirror + file,
                known_hash=f"sha256:{sha256}",
                fname=file,
                path=folder,
                downloader=pooch.HTTPDownloader(
                    timeout=TIMEOUT_S, progressbar=_Progress(file, source.max_bytes, on_progress)
                ),
            )
        except (OSError, ValueError, _TooLarge) as error:
            answers.append(f"{mirror}{file}: {_reason(error)}")
        else:
            return Path(path), mirror
    raise FetchError(
        f"data set '{source.name}' cannot be fetched. {' '.join(answers)} "
        "Fetch the files by other means and use `bench data import`."
    )


class _TooLarge(Exception):
    """A mirror sends more than the data set can be."""


class _Progress:
    """What pooch calls a progress bar; it also ends a download that has no end."""

    def __init__(self, file: str, limit: int, on_progress: OnProgress) -> None:
        self.total = 0  # set by pooch from the answer's header
        self._file, self._limit, self._done, self._tell = file, limit, 0, on_progress

    def update(self, size: int) -> None:
        """Called with the size of each piece."""
        self._done += size
        if self._done > self._limit:
            raise _TooLarge(f"more than {self._limit} bytes")
        # pooch counts whole pieces, also for the last one
        self._tell(self._file, min(self._done, self.total or self._done), self.total)

    def reset(self) -> None:
        """Called at the end, before pooch counts everything once more."""
        self._done = 0

    def close(self) -> None:
        """Called last."""


def _reason(error: Exception) -> str:
    text = flat(error)
    if "does not match" in text or "SHA256" in text:
        return "not the published file (SHA-256 differs)."
    if "Max retries" in text or "Name" in text:
        return "cannot be reached."
    return f"{text[:150].rstrip('.')}."
