"""What all models of the stack's YAML share: their base, and the plain types of single values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic.alias_generators import to_camel

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import units
from pulumi_nodepools.errors import ConfigError


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"{checks.shown(value)} is not a duration; write it like 30s, 30m or 1h30m")  # noqa: TRY004
    try:
        return units.seconds("", value)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix(": ")) from None


def some(value: Any) -> Any:
    """For lists of which at least one item is needed."""
    # Not min_length: that one counts valid items only, and would call a list of one wrong item empty.
    if value in ([], (), {}):
        raise ValueError("is empty; list at least one")
    return value


Text = Annotated[str, Strict()]
Count = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
Duration = Annotated[float, BeforeValidator(_duration)]


class Model(BaseModel):
    """camelCase in YAML, snake_case here; immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False)
