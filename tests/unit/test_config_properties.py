"""Whatever a stack's YAML holds, reading it ends in models or in one ConfigError."""

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools.config import parse
from pulumi_nodepools.errors import ConfigError
from tests.unit.config_case import prod

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12) | st.floats(), inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, inner in items for path in _paths(inner, (*here, key)))]


PATHS = [path for path in _paths(prod()) if path]


@settings(deadline=None)
@given(ANYTHING, ANYTHING)
def test_arbitrary_data_is_refused_or_read(cluster, pools) -> None:
    with suppress(ConfigError):
        parse({"cluster": cluster, "pools": pools})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), ANYTHING)
def test_a_stack_with_one_value_replaced_is_refused_or_read(path, value) -> None:
    raw = prod()
    target: Any = raw
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    message = ""
    try:
        parse(raw)
    except ConfigError as error:
        message = str(error)
    assert not message or "\n  " in message
    assert "pydantic" not in message


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_version_name_is_either_safe_everywhere_or_refused(name) -> None:
    raw = prod()
    pool = raw["pools"]["worker"]
    pool["versions"], pool["active"] = {name: pool["versions"]["7.6.1810"]}, name
    try:
        parse(raw)
    except ConfigError:
        return
    assert name == name.lower().strip()
    with suppress(ValueError):
        float(name)
        raise AssertionError(f"{name} is a number")
