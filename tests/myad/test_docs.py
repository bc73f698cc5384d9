"""The snippets of docs/myad.md, run one after the other as a reader would."""

import doctest
import re
from pathlib import Path

import myad
from myad.core import PRIMITIVES

GUIDE = Path(__file__).parents[2] / "docs" / "myad.md"


def test_snippets_of_the_guide_print_what_they_say():
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("".join(blocks), {}, GUIDE.name, str(GUIDE), 0)
    assert len(examples.examples) > 40
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failures: list[str] = []
    try:
        doctest.DocTestRunner(optionflags=options).run(examples, out=failures.append)
    finally:
        PRIMITIVES.pop("cube", None)
    assert not failures, "".join(failures)


def test_the_table_of_operations_lists_what_there_is():
    text = GUIDE.read_text(encoding="utf-8")
    table = text.partition("### All operations")[2].partition("### ")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (`.+`) \|$", table, re.MULTILINE))
    names = {title: re.findall(r"`(\w+)`", row) for title, row in rows.items()}
    linalg = names.pop("`myad.linalg`")
    transforms = names.pop("functions of functions") + names.pop("loops, branches")
    listed = [name for row in names.values() for name in row]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == set(myad.ops.__all__)
    assert set(linalg) == set(myad.linalg.__all__)
    for name in transforms:
        assert callable(getattr(myad, name))
    # every transformation and loop of the package is in the table
    rooms = ("myad.transforms", "myad.control", "myad.batching")
    homes = {name: getattr(getattr(myad, name), "__module__", "") for name in myad.__all__}
    there = {name for name, home in homes.items() if home.startswith(rooms)}
    assert there <= set(transforms)
