"""Single requests outlast a failure that passes, and nothing else."""

import pytest

from pulumi_nodepools.cluster import asking
from pulumi_nodepools.cluster.asking import passes, patiently
from pulumi_nodepools.errors import AccessDeniedError, ApiError, ClusterUnreachableError, HeldError

AWAY = ClusterUnreachableError("no answer")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Waiting takes no time; the waits are kept."""
    waits = []
    monkeypatch.setattr(asking, "pause", waits.append)
    monkeypatch.setattr(asking.time, "monotonic", lambda: sum(waits))
    return waits


def answers(*outcomes):
    """A request that ends in one outcome after the other."""
    left = list(outcomes)

    def ask():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return ask


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
def test_no_answer_throttling_and_errors_of_the_server_pass(status):
    assert passes(ApiError("x", status=status))
    assert passes(AWAY)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
def test_answers_about_the_request_itself_do_not(status):
    assert not passes(ApiError("x", status=status))
    assert not passes(AccessDeniedError("x"))
    assert not passes(HeldError("x"))


def test_an_answer_after_failures_that_passed_is_the_answer(clock):
    assert patiently(answers(AWAY, ApiError("x", status=503), "yes")) == "yes"
    assert len(clock) == 2


def test_any_other_failure_is_raised_at_once(clock):
    with pytest.raises(ApiError, match="conflict"):
        patiently(answers(ApiError("conflict", status=409), "never asked"))
    assert clock == []


def test_a_failure_that_does_not_pass_is_raised_in_the_end(clock):
    with pytest.raises(ClusterUnreachableError, match="no answer"):
        patiently(answers(*[AWAY] * 100))
    assert asking.PATIENCE / 2 < sum(clock) <= asking.PATIENCE
    assert len(clock) < 15, "ever more slowly"
