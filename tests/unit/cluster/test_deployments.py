"""Which Deployments start the next pod first, and when one is settled: as their controller counts."""

import msgspec
import pytest

from pulumi_nodepools.cluster.deployments import RawDeployment, deployment_view
from pulumi_nodepools.cluster.volumes import RawClaim, claim_view
from pulumi_nodepools.names import SURGE_ANNOTATION

SETTLED = {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1}


def view(*, strategy=None, status=None, annotations=None, **spec):
    rolled = {"strategy": strategy} if strategy else {}
    body = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "resourceVersion": "5", "generation": 3},
        "spec": {"template": {"metadata": {"annotations": annotations}}, **rolled, **spec},
        "status": SETTLED if status is None else status,
    }
    return deployment_view(msgspec.convert(body, RawDeployment))


def rolling(surge, unavailable):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


@pytest.mark.parametrize(
    ("strategy", "adds_first"),
    [
        (None, True),
        (rolling("25%", "25%"), True),
        (rolling(1, 0), True),
        (rolling("1%", "99%"), True),
        (rolling(0, 1), False),
        (rolling(1, 1), False),
        (rolling("0%", "25%"), False),  # the server makes one unavailable of that
        (rolling("100%", "100%"), False),
        ({"type": "Recreate"}, False),
        (rolling("many", 0), False),
        (rolling(1, "none"), False),
    ],
)
def test_a_strategy_adds_first_if_one_more_and_none_less_comes_of_one_replica(strategy, adds_first):
    assert view(strategy=strategy).adds_first is adds_first


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (SETTLED, True),
        (SETTLED | {"observedGeneration": 2}, False),
        (SETTLED | {"replicas": 2}, False),
        (SETTLED | {"updatedReplicas": 0}, False),
        ({}, False),
    ],
)
def test_a_deployment_is_settled_once_its_controller_has_counted_its_last_change(status, settled):
    assert view(status=status).settled is settled


def test_the_pod_that_it_was_asked_to_replace_is_read_back():
    assert (view().moving, view().replicas) == ("", 1)
    found = view(annotations={SURGE_ANNOTATION: "u"}, replicas=4, paused=True)
    assert (found.moving, found.replicas, found.paused, found.settled) == ("u", 4, True, False)


@pytest.mark.parametrize(
    ("modes", "owners", "one_node"),
    [
        (["ReadWriteOnce"], [], True),
        (["ReadWriteOncePod"], [], True),
        (None, [], True),
        (["ReadWriteOnce", "ReadWriteMany"], [], False),
        (["ReadOnlyMany"], [], False),
        (["ReadWriteOnce"], [{"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"}], False),
    ],
)
def test_a_claim_ties_to_one_node_unless_many_may_use_it_or_it_is_made_for_one_pod(modes, owners, one_node):
    body = {"metadata": {"name": "data", "ownerReferences": owners}, "spec": {"accessModes": modes}}
    assert claim_view(msgspec.convert(body, RawClaim)).one_node is one_node
