"""What a field of a manifest or a record may hold: limits and patterns, each said once.

A run's folder may come from anybody. Names become folders and parts of commands, texts become
pages, numbers are divided and summed; so each is held to what a run of this program could write.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter

from harness.contract import PHASES
from harness.errors import UsageError
from harness.workload import format as workloads

MOST_BLOCKS = 100_000
MOST_PLANNED = 1_000_000  # trials, or accuracies after them: what one run may ask a reader to hold
NANOSECOND = 1e-9
LARGEST = 1e100  # of a loss or a deviation: sums of squares stay finite


def _moment(text: str) -> str:
    """A time in ISO 8601 with its zone, of this age."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not 1970 < found.astimezone(UTC).year < 2200:
        raise ValueError("a time with its zone is needed, after 1970.")
    return text


def _duration(seconds: float) -> float:
    """No clock here has steps below a nanosecond: such a time is none, and divides nothing."""
    return seconds if seconds >= NANOSECOND else 0.0


def _phase(name: str) -> str:
    if name not in PHASES:
        raise ValueError(f"no phase of the contract; allowed: {', '.join(PHASES)}.")
    return name


def _workload(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it is, if it is a workload's."""
    try:
        workloads.parse(document)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return document


Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False), AfterValidator(_duration)]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**53)]  # what every reader of JSON can hold
Seed = Annotated[int, Field(ge=0, le=2**32)]
EngineName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
RunName = Annotated[str, Field(pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=64)]
TrialName = Annotated[str, Field(pattern=r"^(warmup)?[0-9]{1,12}-[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
MachineId = Annotated[
    str, Field(pattern=r"^[0-9a-f]{12}$")
]  # as `machine.host.fingerprint` makes it
PhaseName = Annotated[str, AfterValidator(_phase)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
Line = Annotated[str, Field(max_length=300)]
Log = Annotated[str, Field(max_length=20_000)]
_Scalar = None | bool | Whole | Number | Log
_FACTS: TypeAdapter[Any] = TypeAdapter(dict[Line, _Scalar | list[_Scalar] | dict[Line, _Scalar]])
Facts = Annotated[dict[str, Any], AfterValidator(_FACTS.validate_python)]
WorkloadDocument = Annotated[dict[str, Any], AfterValidator(_workload)]
