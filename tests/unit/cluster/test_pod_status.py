"""Why a pod is not ready, in the cluster's own words, the first cause first."""

import msgspec
import pytest

from pulumi_nodepools.cluster import objects
from pulumi_nodepools.cluster.pod_status import PodStatus, trouble

UNREADY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
GATE = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "gate x is not True"}
RUNS = {"name": "main", "state": {"running": {}}, "ready": False}
BACKOFF = {"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/9 nodes are available"}]},
            "0/9 nodes are available",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}, "SchedulingGated"),
        ({"conditions": [UNREADY], "containerStatuses": [BACKOFF]}, "container main: CrashLoopBackOff: back-off 5m0s"),
        (
            {
                "conditions": [UNREADY],
                "initContainerStatuses": [
                    {"name": "wait-db", "ready": True, "state": {"terminated": {"exitCode": 0}}},
                    {"name": "migrate", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
                ],
                "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
            },
            "init container migrate: ended with exit code 3 (Error)",
        ),
        ({"conditions": [GATE], "containerStatuses": [RUNS | {"ready": True}]}, "gate x is not True"),
        (
            {"conditions": [UNREADY], "containerStatuses": [RUNS | {"name": "side", "ready": True}, RUNS]},
            "container main runs, but its readiness probe has not passed",
        ),
        ({}, ""),
        ({"conditions": [UNREADY | {"status": "True"}], "containerStatuses": [BACKOFF]}, ""),
        ({"phase": "Succeeded", "conditions": [UNREADY], "containerStatuses": [RUNS]}, ""),
    ],
)
def test_the_first_cause_is_told(status, words):
    assert trouble(msgspec.convert(status, PodStatus)) == words


def test_a_budget_whose_controller_lags_is_known():
    for generation, behind in ((2, True), (1, False)):
        meta = {"name": "b", "generation": generation}
        raw = {"metadata": meta, "spec": {}, "status": {"observedGeneration": 1}}
        assert objects.budget_view(msgspec.convert(raw, objects.RawBudget)).behind is behind
