"""Schedules of faults: the same for the same seed, and every kind has its turn."""

from pathlib import Path

import pytest

from tests.chaos import invariants
from tests.chaos.schedule import KINDS, ROUND, SHAPES, Fault, Schedule, draw


def test_a_seed_means_the_same_schedule_for_ever() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]
    assert len({str(draw(seed)) for seed in range(50)}) == 50


@pytest.mark.parametrize("first", [0, 7, 1000])
def test_in_a_round_of_seeds_every_kind_leads_once_and_every_shape_is_played(first: int) -> None:
    drawn = [draw(seed) for seed in range(first, first + ROUND)]
    assert sorted(fault.kind for one in drawn for fault in one.faults if not fault.joins) == sorted(KINDS)
    assert {one.shape for one in drawn} == {*SHAPES}
    assert any(any(one.skews) for one in drawn)


def test_every_fault_and_every_violation_is_described() -> None:
    page = Path("docs/chaos.md").read_text()
    for kind in KINDS:
        hit, _, how = kind.partition("/")
        assert how in page or f"`{hit}/…`" in page, kind
    assert all(f"| `{kind}` |" in page for kind in invariants.KINDS)


def test_nothing_that_leads_ends_the_run_before_another_that_leads_is_met() -> None:
    for one in map(draw, range(ROUND)):
        leads = [fault.kind for fault in one.faults if not fault.joins]
        assert len(leads) == 1 or not any(kind.startswith("process/") or "expired" in kind for kind in leads)


def test_what_hits_the_whole_sandbox_is_played_alone() -> None:
    for one in map(draw, range(200)):
        shared = [fault for fault in one.faults if fault.kind.startswith(("pause/", "kill/", "zones/"))]
        assert one.alone == bool(shared)
        assert len(shared) <= 1


def test_a_schedule_that_only_passes_by_holds_nothing_that_ends_a_run() -> None:
    for one in map(draw, range(200)):
        ends = [fault for fault in one.faults if fault.kind.startswith(("process/", "death/", "zones/"))]
        assert not (one.passing and ends)
    assert sum(one.passing for one in map(draw, range(200))) > 40


@pytest.mark.parametrize(
    ("fault", "passing"),
    [
        (Fault("kubernetes/unavailable", "any", 1, 6), True),
        (Fault("kubernetes/throttled-bare", "evict", 3, 4), True),
        (Fault("kubernetes/throttled-bare", "evict", 3, 6), False),
        (Fault("kubernetes/throttled", "lease", 1, 6, 2.0), False),
        (Fault("kubernetes/stale-watch", "watch", 1, 20, 4.0), True),
        (Fault("aws/error", "any", 1, 3), True),
        (Fault("aws/error", "any", 1, 5), False),
        (Fault("kubernetes/expired-token", "any", 1), False),
        (Fault("process/kill-before", "evict", 1), False),
        (Fault("pause/kube-apiserver", "evict", 1, 1, 4.0), True),
    ],
)
def test_what_lasts_longer_than_a_lease_or_than_the_tries_of_aws_does_not_pass(fault: Fault, passing: bool) -> None:
    assert Schedule(0, "remove", (fault,)).passing == passing
