"""What would hold the coming drain: a preview warns of it, an update refuses before any instance is paid for."""

import pulumi
import pytest

from pulumi_nodepools import BlueGreenNodePool
from pulumi_nodepools.drain.preflight import Finding
from tests.components.conftest import make_pool
from tests.components.engine import run

IMPOSSIBLE = Finding("never", "pdb-impossible", "budget shop/web", "it can never allow it", "relax it")
SINGLE = Finding("warning", "single-replica", "workload shop/cron", "one replica", "run two")
KNOWN = Finding("never", "pdb-impossible", "budget shop/old", "never", "relax it", acknowledged=True)
ACTOR = Finding("info", "other-actor", "actor kured", "it runs", "hold it")


@pytest.fixture
def warned(monkeypatch):
    lines = []
    monkeypatch.setattr(pulumi, "warn", lines.append)
    return lines


def _build(*, preview):
    return run(lambda: BlueGreenNodePool("worker", make_pool()), preview=preview)


def test_a_preview_warns_and_goes_on(surveyed, warned):
    surveyed(findings=(IMPOSSIBLE, SINGLE, ACTOR))
    assert _build(preview=True).registered
    (warning,) = warned
    assert warning.startswith("pool worker: 2 findings about the drain of its other versions:")
    assert "never: budget shop/web: pdb-impossible: it can never allow it. Fix: relax it" in warning
    assert "kured" not in warning


def test_an_update_that_would_make_new_instances_is_refused(surveyed, warned):
    surveyed(findings=(IMPOSSIBLE, SINGLE))
    with pytest.raises(pulumi.RunError, match=r"no new instance was made: 1 things .* for ever"):
        _build(preview=False)


@pytest.mark.parametrize("found", [{"findings": (SINGLE, KNOWN)}, {"findings": (IMPOSSIBLE,), "creates": False}, {}])
def test_what_is_acknowledged_or_under_way_goes_on(surveyed, warned, found):
    surveyed(**found)
    assert _build(preview=False).registered
    assert len(warned) == bool(found)
