"""A blocked pod is told with its reason, its numbers and what would help."""

import pytest

from pulumi_nodepools.drain.answers import Meaning
from pulumi_nodepools.drain.classify import DO_NOT_DISRUPT
from pulumi_nodepools.drain.diagnose import diagnose
from pulumi_nodepools.drain.evictions import Track
from pulumi_nodepools.drain.model import BudgetView, ControllerView, NodeView, Owner, PodView, Toleration
from pulumi_nodepools.drain.world import World

WALL = 1000.0
OWNER = Owner("ReplicaSet", "apps/v1", "web-1", "rs")


def pod(name="web", **fields):
    base = {"namespace": "shop", "name": name, "uid": name, "node": "n1", "labels": {"app": "web"}, "owner": OWNER}
    return PodView(**base | fields)


def budget(name="web", **fields):
    base = {"match_labels": {"app": "web"}, "min_available": "2", "needed": 2, "healthy": 2, "expected": 3}
    return BudgetView(namespace="shop", name=name, uid=name, **base | fields)


def refused(cause: Meaning, text="because"):
    track = Track("web", "shop", "web", "n1", 0.0)
    track.cause, track.cause_text, track.failures = cause, text, 3
    return track


def world(*views):
    made = World()
    for view in views:
        match view:
            case PodView():
                made.put_pod(view)
            case BudgetView():
                made.put_budget(view)
            case NodeView():
                made.nodes[view.name] = view
            case ControllerView():
                made.controllers[view.uid] = view
    return made


CONTROLLER = ControllerView(kind="ReplicaSet", namespace="shop", name="web-1", uid="rs", desired=2)
DEAD = NodeView(name="n1", ready=False, ready_status="Unknown")
PENDING = pod("new", node="", ready=False, phase="Pending", trouble="0/9 nodes are available: 9 Insufficient cpu.")
PULLING = pod("new", node="n2", ready=False, phase="Pending", trouble="ImagePullBackOff: no such image")


@pytest.mark.parametrize(
    ("subject", "others", "track", "reason", "words"),
    [
        (pod(), [budget()], None, "pdb-exhausted", "shop/web needs 2 healthy and has 2"),
        (pod(), [budget(expected=2)], None, "pdb-impossible", "needs 2 of 2 pods healthy (minAvailable: 2)"),
        (pod(), [budget(max_unavailable="0", needed=3)], None, "pdb-impossible", "maxUnavailable: 0"),
        (pod(), [budget(sync_failure="no scale")], None, "pdb-sync-failed", "no scale"),
        (pod(), [budget(), budget("all")], None, "pdb-multiple", "shop/all, shop/web"),
        (pod(ready=False), [budget(healthy=1)], None, "unready-pod-guarded", "needs 2, has 1"),
        (pod(), [budget(behind=True)], None, "pdb-controller-lag", "was changed and its controller"),
        (
            pod(),
            [budget()],
            refused("budget", "is still being processed by the server"),
            "pdb-controller-lag",
            "shop/web",
        ),
        (pod(), [budget(healthy=1), PENDING], None, "replacement-unschedulable", "9 Insufficient cpu"),
        (pod(), [budget(healthy=1), PULLING], None, "replacement-not-ready", "ImagePullBackOff"),
        (pod(), [CONTROLLER, PENDING], None, "replacement-unschedulable", "1 of 2 pods ready"),
        (pod(), [CONTROLLER], None, "replacement-not-ready", "1 of 2 pods ready"),
        (
            pod(),
            [],
            refused("denied", 'admission webhook "w"'),
            "webhook-denied",
            '3 times: admission webhook "w"',
        ),
        (pod(), [], refused("namespace-terminating"), "namespace-terminating", "namespace shop"),
        (pod(), [], refused("throttled"), "apf-throttled", "429"),
        (pod(), [], refused("forbidden"), "rbac", "lack of rights"),
        (pod(), [], refused("transient"), "api-failing", "last 3 evictions"),
        (pod(deleted_at=WALL + 20), [], None, "terminating-grace", "ends in 20 s"),
        (pod(deleted_at=WALL - 90, finalizers=("a/b",)), [], None, "stuck-finalizer", "finalizers a/b"),
        (pod(deleted_at=WALL - 90), [DEAD], None, "kubelet-unreachable", "Ready=Unknown"),
        (pod(deleted_at=WALL - 90), [], None, "terminating-grace", "90 s ago"),
        (pod(owner=None), [], None, "bare-pod", "loses it for good"),
        (pod(empty_dirs=("cache",)), [], None, "local-data", "(cache)"),
        (pod(notes={DO_NOT_DISRUPT: "true"}), [], None, "opted-out", f"{DO_NOT_DISRUPT}=true"),
        (
            pod(tolerations=(Toleration(operator="Exists"),)),
            [],
            None,
            "returns-to-node",
            "tolerates",
        ),
        (pod(), [], None, "waiting", "turn"),
    ],
)
def test_reasons(subject, others, track, reason, words):
    verdict = reason if reason in ("bare-pod", "local-data", "opted-out", "returns-to-node") else "movable"
    found = diagnose(world(subject, *others), subject, track, verdict, WALL)
    assert found.reason == reason
    assert words in found.message
    assert found.fix
    assert str(found).startswith("pod shop/web on n1: ")


@pytest.mark.parametrize(
    ("sibling", "links"),
    [
        (PENDING, ("pod shop/new has no node", PENDING.trouble)),
        (PULLING, ("pod shop/new on n2 is not ready", PULLING.trouble)),
        (pod("new", node="n2", ready=False), ("pod shop/new on n2 is not ready",)),
    ],
)
def test_the_chain_leads_from_the_budget_to_the_cause(sibling, links):
    found = diagnose(world(pod(), budget(healthy=1), sibling), pod(), None, "movable", WALL)
    assert found.chain == ("budget shop/web needs 2 healthy and has 1", *links)
    assert found.to_json()["chain"] == list(found.chain)


def test_explaining_does_not_look_at_pods_that_serve_well():
    asked = []

    class Watched(dict):
        def __getitem__(self, uid):
            asked.append(uid)
            return super().__getitem__(uid)

    seen = world(pod(), budget(healthy=1), PENDING, *(pod(f"well-{n}") for n in range(100)))
    seen.pods = Watched(seen.pods)
    found = diagnose(seen, pod(), None, "movable", WALL)
    assert (found.numbers["sibling"], asked) == ("shop/new", ["new"])
