"""Documents name tests, files and commands that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(("page", "least"), [("method.md", 30), ("security.md", 20)])
def test_every_test_named_in_a_page_of_faults_exists(page, least):
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()))
    assert len(named) > least
    written = set()
    for path in (ROOT / "tests/harness/faults").glob("test_*.py"):
        written |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    assert named <= written, named - written


def test_files_named_in_the_documents_exist():
    for document in ("docs/method.md", "docs/security.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for name in re.findall(r"`((?:\w[\w.-]*/)+[\w.-]+\.\w+)`", text):
            if "<" not in name and "NAME" not in name:
                assert (ROOT / name).exists(), f"{document}: {name}"
