"""What is sent for an eviction or a taint, and how answers are read."""

import json

import pytest

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.cluster.client import Response
from pulumi_nodepools.drain.answers import meaning
from pulumi_nodepools.drain.events import Evict
from pulumi_nodepools.drain.model import NodeView, Taint
from pulumi_nodepools.errors import ClusterUnreachableError
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION, QUARANTINE_LABEL

POD = Evict("ns", "db-0", "uid-1", "node")


class FakeClient:
    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def request(self, method, path, **options):
        self.asked.append((method, path, options.get("body")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        return Response(status, headers[0] if headers else {}, json.dumps(body).encode())


def test_an_eviction_names_the_uid_and_leaves_the_grace_to_the_pod():
    client = FakeClient((201, {}))
    assert eviction.evict(client, POD).code == 201
    ((method, path, body),) = client.asked
    assert (method, path) == ("POST", "/api/v1/namespaces/ns/pods/db-0/eviction")
    assert body["deleteOptions"] == {"preconditions": {"uid": "uid-1"}}


def test_causes_texts_and_waits_are_read():
    body = {
        "reason": "TooManyRequests",
        "message": "Cannot evict pod",
        "details": {
            "retryAfterSeconds": 10,
            "causes": [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods and has 1 currently"}],
        },
    }
    answer = eviction.evict(FakeClient((429, body, {"Retry-After": "7"})), POD)
    assert answer.causes == ("DisruptionBudget",)
    assert answer.retry_after == 10
    assert answer.message == "Cannot evict pod needs 2 healthy pods and has 1 currently"


def test_a_lost_answer_is_an_answer_of_its_own():
    assert eviction.evict(FakeClient(ClusterUnreachableError("reset")), POD).code == 0


def test_a_taint_keeps_the_others_and_is_tried_again_on_a_newer_node():
    view = NodeView(name="n", resource_version="1", taints=(Taint("gpu", "NoExecute", "yes", "2026-01-01T00:00:00Z"),))
    other = {"key": "x", "effect": "NoSchedule"}
    newer = {"metadata": {"name": "n", "resourceVersion": "2"}, "spec": {"taints": [other]}}
    client = FakeClient((409, {}), (200, newer), (200, {}))
    assert eviction.taint(client, view).code == 200
    first, _, last = [body for _, _, body in client.asked]
    ours = {"key": DRAINING_TAINT, "effect": "PreferNoSchedule"}
    gpu = {"key": "gpu", "effect": "NoExecute", "value": "yes", "timeAdded": "2026-01-01T00:00:00Z"}
    assert first["spec"]["taints"] == [gpu, ours]
    assert first["metadata"] == {"resourceVersion": "1"}
    assert last["spec"]["taints"] == [other, ours]
    assert last["metadata"]["resourceVersion"] == "2"


def test_another_node_that_has_its_name_by_now_is_left_alone():
    view = NodeView(name="n", uid="gone", resource_version="1")
    client = FakeClient((409, {}), (200, {"metadata": {"name": "n", "uid": "new", "resourceVersion": "2"}, "spec": {}}))
    assert eviction.cordon(client, view, "worker/v1").code == 404
    assert [method for method, _, _ in client.asked] == ["PATCH", "GET"]


def test_a_cordon_says_in_the_same_patch_whose_it_is():
    client = FakeClient((200, {}))
    assert eviction.cordon(client, NodeView(name="n", resource_version="1"), "pool/v1").code == 200
    ((_, _, body),) = client.asked
    assert body == {
        "metadata": {"annotations": {OWNER_ANNOTATION: "pool/v1"}, "resourceVersion": "1"},
        "spec": {"unschedulable": True},
    }


def test_a_cordon_that_came_just_before_ours_stays_somebody_elses():
    theirs = {"metadata": {"name": "n", "resourceVersion": "2"}, "spec": {"unschedulable": True}}
    client = FakeClient((409, {}), (200, theirs))
    assert eviction.cordon(client, NodeView(name="n", resource_version="1"), "pool/v1").code == 200
    assert [method for method, _, _ in client.asked] == ["PATCH", "GET"], "nothing is written onto their cordon"


@pytest.mark.parametrize(
    ("cordoned_by", "changed", "named"),
    [
        ("pool/v1", {"taints", "unschedulable"}, ["n"]),
        (None, {"taints"}, []),
        ("pool/v9", set(), []),
    ],
)
def test_an_uncordon_takes_back_what_is_ours_and_leaves_another_cordon(cordoned_by, changed, named):
    node = {
        "metadata": {"name": "n", "annotations": {OWNER_ANNOTATION: cordoned_by} if cordoned_by else {}},
        "spec": {"unschedulable": True, "taints": [{"key": DRAINING_TAINT, "effect": "PreferNoSchedule"}]},
    }
    client = FakeClient(*[(200, {})] * bool(changed))
    client.list_raw = lambda _path: [json.dumps({"items": [node]})]
    assert eviction.uncordon(client, lambda _: True, "pool/v1") == named
    assert {key for _, _, body in client.asked for key in body["spec"]} == changed
    assert [OWNER_ANNOTATION in body["metadata"]["annotations"] for _, _, body in client.asked] == [bool(named)] * len(
        client.asked
    )


def test_a_forced_deletion_keeps_a_grace_and_the_uid():
    client = FakeClient((200, {}), (403, {"message": 'User "u" cannot delete resource "pods" in API group ""'}))
    forced = Evict("ns", "db-0", "uid-1", "node", grace=45)
    assert eviction.evict(client, forced).code == 200
    ((method, path, body),) = client.asked
    assert (method, path) == ("DELETE", "/api/v1/namespaces/ns/pods/db-0")
    assert (body["gracePeriodSeconds"], body["preconditions"]) == (45, {"uid": "uid-1"})
    assert meaning(eviction.evict(client, forced)) == "forbidden"


def test_a_mark_is_one_label_and_goes_with_the_cordon():
    client = FakeClient((200, {}), (200, {}))
    assert eviction.label(client, "n", quarantined=True).code == 200
    assert eviction.label(client, "n", quarantined=False).step == "label"
    assert [body for _, _, body in client.asked] == [
        {"metadata": {"labels": {QUARANTINE_LABEL: value}}} for value in ("true", None)
    ]
