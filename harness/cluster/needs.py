"""The extra that brings what this room is made with."""

from importlib.util import find_spec

from harness.errors import UsageError


def needs(module: str) -> None:
    """Raises: UsageError naming the extra, where a package of it is not installed."""
    if find_spec(module) is None:
        raise UsageError(f"--cluster needs {module}: pip install 'myad-bench[cluster]'.")
