"""Running a target on examples that a seed decides."""

from collections.abc import Callable

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st


def search(target: Callable[[st.DataObject], None], *, seed: int, examples: int) -> None:
    """Raises what the target raises, for the smallest example found, which is printed."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @hypothesis.given(st.data())
    def run(data: st.DataObject) -> None:
        target(data)

    run()
