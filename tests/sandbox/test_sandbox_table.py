"""docs/sandbox.md names only tests that exist, so that no imitation is left without one."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "docs" / "sandbox.md"
NAMED = re.findall(r"`((?:tests/)?[\w/]+\.py)::(test_\w+)`", TABLE.read_text())


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_named_test_exists(file: str, test: str) -> None:
    path = REPOSITORY / file if file.startswith("tests/") else Path(__file__).with_name(file)
    assert re.search(rf"^    def {test}\(|^def {test}\(", path.read_text(), re.MULTILINE)


def test_every_row_names_a_test() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("|---")]
    headers = [line for line in rows if line.rstrip().endswith("| test |")]
    assert headers
    assert [row for row in rows if row not in headers and "::test_" not in row] == []


@pytest.mark.parametrize(
    "file", ["test_aws_server.py", "test_aws_server_faults.py", "test_aws_balancers.py", "test_plugins_aws.py"]
)
def test_every_test_is_in_the_table(file: str) -> None:
    defined = re.findall(r"^def (test_\w+)\(", Path(__file__).with_name(file).read_text(), re.MULTILINE)
    assert set(defined) <= {test for _, test in NAMED}
