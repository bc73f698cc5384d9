"""What every part of a workload's settings is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Settings that refuse unknown names, NaN and infinity, and are never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Share = Annotated[float, Field(ge=0, lt=1)]
