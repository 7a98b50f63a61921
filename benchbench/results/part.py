"""What the parts of a `run.json` have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from benchbench.results.record import LARGEST_INTEGER

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
"""A number of things. No table takes a larger one."""


class Part(BaseModel):
    """A part of a manifest: frozen, of the types that it states, and with what it has no name for."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    def stated(self) -> dict[str, Any]:
        """What was said.

        Returns:
            Values by name, and nothing that was not said; parts stay parts.
        """
        own = {name: said for name, said in vars(self).items() if name in self.model_fields_set}
        return own | (self.__pydantic_extra__ or {})

    def as_json(self) -> dict[str, Any]:
        """The same for `json.dumps`.

        Returns:
            Values by name; parts are mappings.
        """
        return self.model_dump(exclude_unset=True)
