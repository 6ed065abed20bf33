"""The table of replayed behaviour names the tests that are there, and no others."""

from tests import conformance


def test_the_table_is_that_of_the_tests():
    assert conformance.DOCUMENT.read_text() == conformance.document(), "write it with `python -m tests.conformance`"
