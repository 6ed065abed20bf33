"""The taint of a node whose machine has ended: never set on one that is back, and only ours is taken off."""

import json

from pulumi_nodepools.cluster import eviction, out_of_service
from pulumi_nodepools.cluster.client import Response
from pulumi_nodepools.drain.model import NodeView, Taint
from pulumi_nodepools.names import OUT_OF_SERVICE_TAINT, OWNER_ANNOTATION, RELEASED_ANNOTATION

GONE = NodeView(
    name="n", resource_version="1", ready=False, taints=(Taint("node.kubernetes.io/unreachable", "NoExecute"),)
)
THEIRS = Taint(OUT_OF_SERVICE_TAINT, "NoExecute", "by-hand")
OURS = Taint(OUT_OF_SERVICE_TAINT, "NoExecute", "nodeshutdown")


class Server:
    """One node; the first patches are answered 409, as after somebody else's change."""

    def __init__(self, *, ready, conflicts=0):
        self.ready, self.conflicts, self.patches = ready, conflicts, []

    def request(self, method, path, *, body=None, content_type=""):
        assert path == "/api/v1/nodes/n"
        if method == "GET":
            conditions = [{"type": "Ready", "status": "True" if self.ready else "Unknown"}]
            node = {"metadata": {"name": "n", "resourceVersion": "2"}, "status": {"conditions": conditions}}
            return Response(200, {}, json.dumps(node).encode())
        self.patches.append(body)
        self.conflicts -= 1
        return Response(409 if self.conflicts >= 0 else 200, {}, b"{}")


def test_a_node_whose_machine_has_ended_is_tainted_beside_its_other_taints_and_marked_as_ours():
    server = Server(ready=False)
    assert out_of_service.release(server, GONE, "worker/v1").code == 200
    (patch,) = server.patches
    assert patch["metadata"] == {"annotations": {RELEASED_ANNOTATION: "worker/v1"}, "resourceVersion": "1"}
    assert [(taint["key"], taint.get("value")) for taint in patch["spec"]["taints"]] == [
        ("node.kubernetes.io/unreachable", None),
        (OUT_OF_SERVICE_TAINT, "nodeshutdown"),
    ]


def test_a_node_that_comes_back_while_it_is_being_tainted_is_left_alone():
    server = Server(ready=True, conflicts=1)
    assert out_of_service.release(server, GONE, "worker/v1").code == 200
    assert [patch["metadata"]["resourceVersion"] for patch in server.patches] == ["1"], "the one that was refused"


def test_a_taint_that_is_there_already_stays_whose_it_is():
    server = Server(ready=False)
    node = NodeView(name="n", ready=False, taints=(THEIRS,))
    assert out_of_service.release(server, node, "worker/v1").code == 200
    assert server.patches == []
    assert eviction.in_service(node)["spec"] == {"taints": [eviction.written(THEIRS)]}


def test_what_is_ours_is_taken_off_with_its_mark_and_nothing_else_is():
    server = Server(ready=True)
    soft = Taint("nodepools.dev/draining", "PreferNoSchedule")
    marks = {RELEASED_ANNOTATION: "worker/v1", OWNER_ANNOTATION: "worker/v1"}
    out_of_service.restore(server, NodeView(name="n", taints=(soft, OURS), annotations=marks, unschedulable=True))
    (patch,) = server.patches
    assert patch["metadata"]["annotations"] == {RELEASED_ANNOTATION: None}
    assert patch["spec"] == {"taints": [eviction.written(soft)]}
