"""Every answer of the eviction API that was seen on a real server, and what it means."""

import pytest

from pulumi_nodepools.drain.answers import meaning, retry_delay
from pulumi_nodepools.drain.events import Answered


@pytest.mark.parametrize(
    ("code", "causes", "message", "expected"),
    [
        (201, (), "", "accepted"),
        (200, (), "", "accepted"),
        (404, (), 'pods "p" not found', "gone"),
        (409, (), "Precondition failed: UID in precondition: a, UID in object meta: b", "conflict"),
        (429, ("DisruptionBudget",), "Cannot evict pod as it would violate the pod's disruption budget.", "budget"),
        (429, (), "The server has received too many requests", "throttled"),
        (429, (), 'admission webhook "virt.io" denied the request: migrating', "denied"),
        (403, ("NamespaceTerminating",), "unable to create new content", "namespace-terminating"),
        (403, (), "because it is being terminated", "namespace-terminating"),
        (403, (), "pdb disruptions allowed is negative", "budget"),
        (403, (), "DisruptedPods map too big - too many evictions not confirmed by PDB controller", "budget"),
        (403, (), 'User "u" cannot create resource "pods/eviction" in API group ""', "forbidden"),
        (403, (), "policy says no", "denied"),
        (401, (), "Unauthorized", "forbidden"),
        (422, (), 'pods "p" is forbidden: ValidatingAdmissionPolicy denied request', "denied"),
        (400, (), 'admission webhook "drain-cleaner" denied the request', "denied"),
        (500, (), "This pod has more than one PodDisruptionBudget", "budgets"),
        (500, (), 'admission webhook "w" denied the request: no', "denied"),
        (500, (), 'failed calling webhook "w": admission webhook "w" timed out: failed calling', "transient"),
        (500, (), "etcdserver: leader changed", "transient"),
        (503, (), "", "transient"),
        (504, (), "couldn't update PodDisruptionBudget due to conflicts", "transient"),
        (0, (), "connection reset", "transient"),
    ],
)
def test_meaning(code, causes, message, expected):
    assert meaning(Answered("u", code, causes=causes, message=message)) == expected


def test_waiting_grows_to_a_limit_and_the_servers_wish_comes_first():
    delays = [retry_delay("transient", failures, 0) for failures in range(1, 9)]
    assert delays == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert retry_delay("budget", 1, 10) == 10
    assert retry_delay("throttled", 1, 120) == 120
