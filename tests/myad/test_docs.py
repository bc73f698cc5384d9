"""The snippets of docs/myad.md, run one after the other as a reader would."""

import doctest
import re
from pathlib import Path

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
