"""Durations and shares as users write them."""

import pytest

from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.units import counted, seconds, share


@pytest.mark.parametrize(
    ("text", "expected"), [("30m", 1800), ("1h30m", 5400), ("500ms", 0.5), ("0s", 0), ("72h", 259200), ("1.5s", 1.5)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds("drain.timeout", text) == expected


@pytest.mark.parametrize("text", ["", "30", "30 m", "m30", "-5s", "30m!", "1d", "\uff15s"])
def test_what_is_no_duration_names_the_field_and_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"drain\.timeout: .* is not a duration; write it like"):
        seconds("drain.timeout", text)


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [
        ("10%", 14, 1),
        ("25%", 14, 3),
        ("100%", 14, 14),
        ("1%", 5, 1),
        (3, 14, 3),
        ("4", 2, 4),
        ("99%", 14, 13),
        ("50%", 1, 1),
        ("50%", 3, 1),
        ("99%", 100, 99),
        ("10%", 0, 1),
        ("007", 14, 7),
    ],
)
def test_shares(value: str | int, total: int, expected: int) -> None:
    assert share("drain.batchSize", value, total) == expected


@pytest.mark.parametrize(
    "value", ["0", 0, "0%", "101%", "-1", "ten", "", "%", "1.5", "²", "10 %", "10%%", "+3", "\uff12%", "0x2"]
)
def test_what_is_no_share_is_refused(value: str | int) -> None:
    with pytest.raises(ConfigError, match=r"drain\.batchSize: .* neither a count"):
        share("drain.batchSize", value, 14)


def test_one_is_not_many():
    assert [counted(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
