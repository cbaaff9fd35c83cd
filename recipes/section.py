"""What the sections of a recipe have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A probability, a rate or a ratio."""

ProperFraction = Annotated[float, Field(ge=0, lt=1)]
"""One that leaves a rest."""


class Section(BaseModel):
    """A part of a recipe: nothing is converted silently, no key is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
