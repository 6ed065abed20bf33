"""Writes reference.md, every field of the stack's YAML, from the models that read it."""

import sys
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pulumi_nodepools.config import StackConfig
from pulumi_nodepools.config_model import Duration

DURATION = get_args(Duration)[1]  # what reads one: how a field of this kind is told from a plain number

HEAD = """# Configuration

Every field of `nodepools:cluster` and `nodepools:pools`, written by `make docs-reference` from the models that read
them. Unknown fields are errors. Durations are written like `30s`, `30m` or `1h30m`.
"""


def models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all that its fields name, each once."""
    found: dict[type[BaseModel], None] = {model: None}
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            found.update(dict.fromkeys(models(inner)))
    return list(found)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in parts if part is not type(None))
    if origin in (tuple, dict):
        return f"list of {_kind(parts[0])}" if origin is tuple else f"map to {_kind(parts[1])}"
    return _kind(parts[0]) if parts else _plain(annotation)


def _plain(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{_title(annotation)}](#{_title(annotation).lower()})"
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    return words.get(getattr(annotation, "__name__", ""), "value")


def _title(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Config") or model.__name__


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case bool() as switch:
            return f"`{str(switch).lower()}`"
        case float() as number:
            return f"`{_written(number) if DURATION in field.metadata else f'{number:g}'}`"
        case str() | int() as value:
            return f"`{value}`"
    return ""


def _written(seconds: float) -> str:
    """A duration as one writes it: 72h, 30m, 5s."""
    units = (("h", 3600), ("m", 60))
    unit, size = next(((unit, size) for unit, size in units if seconds >= size and not seconds % size), ("s", 1))
    return f"{seconds / size:g}{unit}"


def text() -> str:
    """The whole page."""
    parts = [HEAD]
    for model in models(StackConfig):
        parts.append(f"\n## {_title(model)}\n")
        parts += ["| field | value | default | |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            if not field.description:
                raise SystemExit(f"{model.__name__}.{name} has no description; write one at the field")
            kind = "duration" if DURATION in field.metadata else _kind(field.annotation)
            cells = (f"`{field.alias or name}`", kind, _default(field), field.description)
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())
