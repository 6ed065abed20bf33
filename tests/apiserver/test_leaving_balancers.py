"""The exclusion label of load balancers on a real API server: ours comes and goes with the drain, others' stay."""

from functools import partial

import pytest

from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.cluster.drainer import uncordon
from pulumi_nodepools.cluster.exclusion import label_only
from pulumi_nodepools.drain.events import BalancersSeen
from pulumi_nodepools.errors import AwsError
from pulumi_nodepools.hooks.leaving import leave
from pulumi_nodepools.names import EXCLUDED_VALUE, EXCLUSION_LABEL
from tests.apiserver.drain_case import NODES, on

pytestmark = pytest.mark.apiserver


def labels(cluster, node):
    return cluster.request("GET", f"{NODES}/{node}")["metadata"]["labels"]


def test_a_drain_labels_its_nodes_and_uncordon_takes_only_our_label_off(cluster):
    ours, theirs = cluster.nodes("label", 2)
    cluster.request("PATCH", f"{NODES}/{theirs}", {"metadata": {"labels": {EXCLUSION_LABEL: "theirs"}}})
    report = cluster.drain("label", leave=partial(label_only, cluster.client))
    assert report.outcome == "drained"
    assert labels(cluster, ours)[EXCLUSION_LABEL] == EXCLUDED_VALUE
    uncordon(cluster.client, lambda view: True, "test/label")
    assert EXCLUSION_LABEL not in labels(cluster, ours)
    assert labels(cluster, theirs)[EXCLUSION_LABEL] == "theirs"


def test_a_node_that_has_left_is_emptied_while_others_still_leave(cluster):
    space = cluster.namespace()
    cluster.nodes("turn", 2)
    cluster.deployment(space, "app", 4, **on("turn", "turn-new"))
    cluster.wait_ready(space, 4)
    cluster.nodes("turn-new", 1)

    def one_by_one(views):
        for view in views:
            yield BalancersSeen(view.name)
            cluster.wait(lambda name=view.name: all(pod["spec"].get("nodeName") != name for pod in cluster.pods(space)))

    assert cluster.drain("turn", leave=one_by_one, unbudgeted="all").outcome == "drained"


class Aws:
    """One target group with the old node's instance and a new one; the first call fails, and draining takes two."""

    def __init__(self):
        self.old = ["healthy", "draining", "draining", "unused"]
        self.calls = []

    def call(self, _service, operation, **_params):
        self.calls.append(operation)
        if len(self.calls) == 1:
            raise AwsError("throttled")
        return getattr(self, operation)()

    def describe_target_groups(self):
        return {"TargetGroups": [{"TargetGroupArn": "arn:web", "TargetGroupName": "web", "Protocol": "HTTP"}]}

    def describe_load_balancers(self):
        return {}

    def describe_target_health(self):
        states = {"i-old": self.old[0], "i-new": "healthy"}
        if "deregister_targets" in self.calls and len(self.old) > 1:
            self.old.pop(0)
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": name, "Port": 80}, "TargetHealth": {"State": state}} for name, state in states.items()
            ]
        }

    def describe_target_group_attributes(self):
        return {"Attributes": []}

    def deregister_targets(self):
        return {}


def test_no_pod_goes_before_its_node_is_unused_in_its_target_group(cluster):
    space = cluster.namespace()
    (node,) = cluster.nodes("lb", 1)
    cluster.request("PATCH", f"{NODES}/{node}", {"spec": {"providerID": "aws:///us-west-2a/i-old"}})
    cluster.deployment(space, "app", 2, **on("lb", "lb-new"))
    cluster.wait_ready(space, 2)
    cluster.nodes("lb-new", 1)
    aws = Aws()
    seen = []

    def listen(_progress):
        if aws.old[0] != "unused":
            seen.append({pod["spec"].get("nodeName") for pod in cluster.pods(space)})

    step = partial(leave, cluster.client, Leaving(aws, settle=0), lambda: {"i-old"})
    report = cluster.drain("lb", leave=step, listen=listen)
    assert report.outcome == "drained"
    assert seen
    assert all(where == {node} for where in seen)
    times = report.to_json()["nodes"][node]
    assert times["lb"]["end"] - times["lb"]["start"] >= 3, "asked more than once"
    assert times["evict"]["start"] == times["lb"]["end"]
