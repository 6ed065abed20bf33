"""Durations and shares as users write them, to numbers, and durations back to words. Pure."""

import re

from pulumi_nodepools.errors import ConfigError

_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(field: str, text: str) -> float:
    """Seconds of a duration such as `30m`, `1h30m` or `500ms`; ConfigError names `field` when it cannot be read."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{field}: {text!r} is not a duration; write it like 30s, 30m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def share(field: str, value: str | int, total: int) -> int:
    """How many of `total` a batch size means: a count, or a percentage rounded down but at least 1."""
    text = str(value)
    percent = text.endswith("%")
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0 or (percent and int(digits) > 100):
        raise ConfigError(f"{field}: {value!r} is neither a count of at least 1 nor a percentage from 1% to 100%")
    return max(1, total * int(digits) // 100) if percent else int(digits)


def counted(number: int, noun: str) -> str:
    """`1 node`, `14 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(time: float) -> str:
    """As people say it: 18.5 s, 3 min 20 s, 2 h 5 min."""
    if time < 60:
        return f"{time:.1f}".rstrip("0").rstrip(".") + " s"
    minutes, rest = divmod(round(time), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else rest, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value)
