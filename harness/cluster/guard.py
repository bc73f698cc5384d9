"""A worker takes orders of a few kinds and runs no code that somebody sends.

Dask's messages hold pickles, and a pickle may call anything. In a worker's process each is read by
an unpickler that knows these names and no other, so that what a client can ask for is the tasks of
`harness.cluster.tasks`, which take JSON. Who reaches the scheduler can still stop a worker or keep
it busy: a network that others use needs TLS (docs/cluster.md).
"""

import io
import pickle
import types
from collections.abc import Iterable
from typing import Any

TASKS = "harness.cluster.tasks"
ALLOWED = {
    (TASKS, "prove"),
    (TASKS, "take_data"),
    (TASKS, "carry_out"),
    ("dask._task_spec", "Task"),
    # a scheduler hands it to every worker; it waits for tables, which never come
    ("distributed.shuffle._worker_plugin", "ShuffleWorkerPlugin"),
    ("builtins", "bytes"),
    ("builtins", "int"),
    ("builtins", "str"),
}
# A scheduler reads the graph that a client sends: here always one task, in these wrappings.
OF_SCHEDULER = {("dask._expr", "LLGExpr"), ("dask._expr", "Expr._reconstruct")}
# handlers of a worker that exist to run what is sent, which the unpickler would refuse one by one
CLOSED = (
    "run",
    "run_coroutine",
    "actor_execute",
    "actor_attribute",
    "update_data",
    "plugin-remove",
)


class _Unpickler(pickle.Unpickler):
    allowed = ALLOWED

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(
                f"{module}.{name} is refused: only orders of bench are taken here"
            )
        return super().find_class(module, name)


def loads(content: Any, *, buffers: Iterable[Any] = ()) -> Any:
    """As `pickle.loads`, for what is ALLOWED. Raises: UnpicklingError naming what is not."""
    return _Unpickler(io.BytesIO(content), buffers=buffers).load()


def install(*, scheduler: bool = False) -> None:
    """From now on this process reads no other pickle from the network."""
    import distributed.protocol.pickle as theirs

    _Unpickler.allowed = ALLOWED | OF_SCHEDULER if scheduler else ALLOWED
    # the name that its own `loads` looks up, wherever that has been imported to
    module: Any = theirs
    module.pickle = types.SimpleNamespace(
        loads=loads,
        dumps=pickle.dumps,
        Pickler=pickle.Pickler,
        HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL,
    )


def close_doors(worker: Any) -> None:
    """Take away a worker's handlers that are there to run what is sent."""
    for name in CLOSED:
        worker.handlers.pop(name, None)
