"""User data that is one document instead of cloud-init's parts: Bottlerocket's TOML settings and Flatcar's Ignition.

What such a document asks for is the rules' question; here it is only read, and only with the standard library.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from .user_data import Part
from .values import inner


def bottlerocket(parts: Sequence[Part]) -> Mapping[str, Any] | None:
    """The settings, if the user data is a TOML document that has any."""
    document = _only(parts, tomllib.loads)
    return document if isinstance(inner(document, "settings"), Mapping) else None


def ignition(parts: Sequence[Part]) -> Mapping[str, Any] | None:
    """The Ignition configuration, if the user data is one."""
    document = _only(parts, json.loads)
    return document if isinstance(inner(document, "ignition"), Mapping) else None


def _only(parts: Sequence[Part], load: Any) -> Any:
    if len(parts) != 1:
        return None
    try:
        return load(parts[0].text)
    except (ValueError, RecursionError):  # both decoders' errors are ValueErrors
        return None
