"""Print versions for pip, one `name==version` a line.

usage: pins.py lowest       the floors that pyproject.toml declares, with what the tests need
       pins.py locked       the versions of requirements.lock without their hashes, as constraints

With hashes, pip would ask for one of the wheel that was built a moment ago, too.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("parquet", "test")  # no framework
FLOOR = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")
LOCKED = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+( ; [^\\]+)?")


def lowest() -> list[str]:
    """Every floor as a pin. Exits naming the requirement that declares none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    return [_pin(line) for line in lines]


def _pin(line: str) -> str:
    match = FLOOR.fullmatch(line)
    if match is None:
        sys.exit(f"pyproject.toml: '{line}' declares no floor; write NAME>=VERSION.")
    return f"{match[1]}=={match[2]}"


def locked() -> list[str]:
    """Every pin of the lock with its marker."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [match[0].rstrip() for line in lines if (match := LOCKED.match(line))]


KINDS = {"lowest": lowest, "locked": locked}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in KINDS:
        sys.exit(f"usage: pins.py {'|'.join(KINDS)}")
    print("\n".join(KINDS[sys.argv[1]]()))
