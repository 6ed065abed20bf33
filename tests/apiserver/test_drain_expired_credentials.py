"""Credentials that end in the middle of a drain: nothing more is evicted, it is said what to do, and it goes on."""

import pytest
import yaml

from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import AccessDeniedError, CredentialsExpiredError
from pulumi_nodepools.hooks.leaving import leave
from tests.apiserver.drain_case import NODES, on
from tests.rights_case import RBAC

pytestmark = pytest.mark.apiserver
SYSTEM = "/api/v1/namespaces/kube-system"


@pytest.fixture
def drainer(cluster, tmp_path):
    """A ServiceAccount with the rights of docs/rbac/drain.yaml, by a kubeconfig with a token that can be taken away."""
    objects = list(yaml.safe_load_all((RBAC / "drain.yaml").read_text()))
    subject = [{"kind": "ServiceAccount", "name": "drainer", "namespace": "kube-system"}]
    for one in objects:
        one.update({"subjects": subject} if "subjects" in one else {})
        inside = "/namespaces/kube-system" if "namespace" in one["metadata"] else ""
        cluster.request("POST", f"/apis/{one['apiVersion']}{inside}/{one['kind'].lower()}s", one, expect=(201, 409))
    return Drainer(cluster, tmp_path / "kubeconfig")


class Drainer:
    def __init__(self, cluster, path):
        self.cluster, self.path = cluster, path
        self.log_in()
        self.client = Client.connect(Access(kind="kubeconfig", path=str(path)))

    def log_in(self):
        self.cluster.request("POST", f"{SYSTEM}/serviceaccounts", {"metadata": {"name": "drainer"}}, expect=(201, 409))
        asked = {"spec": {"expirationSeconds": 600}}
        token = self.cluster.request("POST", f"{SYSTEM}/serviceaccounts/drainer/token", asked)["status"]["token"]
        document = yaml.safe_load(self.cluster.plane.kubeconfig.read_text())
        document["users"][0]["user"] = {"token": token}
        self.path.write_text(yaml.safe_dump(document))

    def end(self):
        """Its tokens are good for nothing from now on."""
        self.cluster.request("DELETE", f"{SYSTEM}/serviceaccounts/drainer")


def running(cluster, pool):
    """Two nodes with two pods, and a spare node for these."""
    space = cluster.namespace()
    nodes = cluster.nodes(pool, 2)
    cluster.deployment(space, "web", 2, **on(pool, f"{pool}-spare"))
    cluster.wait_ready(space, 2)
    cluster.nodes(f"{pool}-spare", 1)
    return space, nodes


def left(cluster, space, nodes):
    """The pods that nobody has sent away."""
    pods = cluster.pods(space)
    return [pod for pod in pods if pod["spec"]["nodeName"] in nodes and not pod["metadata"].get("deletionTimestamp")]


def blocked(cluster, pool):
    """The same under a budget that lets nobody go."""
    space, nodes = running(cluster, pool)
    cluster.budget(space, "web", minAvailable=2)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    return space, nodes


def test_an_ended_token_stops_the_drain_and_a_new_one_goes_on(cluster, drainer):
    space, nodes = blocked(cluster, "ended")
    ended = []

    def end_once(progress):
        if progress.blocked and not ended:
            ended.append(True)
            drainer.end()

    with pytest.raises(AccessDeniedError) as caught:
        cluster.drain("ended", client=drainer.client, listen=end_once)
    assert ended
    assert any(word in str(caught.value) for word in ("log in again", "renew the credentials")), str(caught.value)
    assert len(left(cluster, space, nodes)) == 2, "nothing was evicted"

    drainer.log_in()
    cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")
    assert cluster.drain("ended", client=drainer.client).outcome == "drained"
    assert left(cluster, space, nodes) == []


def test_a_token_that_is_exchanged_in_time_is_not_noticed(cluster, drainer):
    space, _ = blocked(cluster, "renewed")
    renewed = []

    def renew_once(progress):
        if progress.blocked and not renewed:
            renewed.append(True)
            drainer.end()
            drainer.log_in()
            cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")

    assert cluster.drain("renewed", client=drainer.client, listen=renew_once).outcome == "drained"
    assert renewed


class Expiring:
    """AWS without target groups, whose session ends when a second node is to leave, until `renewed`."""

    def __init__(self):
        self.looks, self.renewed = 0, False

    def call(self, _service, _operation, **_params):
        self.looks += 1
        if self.looks > 1 and not self.renewed:
            raise CredentialsExpiredError("AWS elbv2:DescribeTargetGroups: the credentials have expired; renew them")
        return {"TargetGroups": []}


def test_an_ended_aws_session_stops_before_the_next_node_and_a_new_one_goes_on(cluster):
    space, nodes = running(cluster, "aws")
    for name in nodes:
        cluster.request("PATCH", f"{NODES}/{name}", {"spec": {"providerID": f"aws:///us-west-2a/i-{name}"}})
    second = left(cluster, space, nodes[1:])
    aws = Expiring()

    def run():
        def take_out(views):
            return leave(cluster.client, Leaving(aws, settle=0.0), lambda: None, views)

        return cluster.drain("aws", leave=take_out, batch_size="1")

    with pytest.raises(CredentialsExpiredError, match="the credentials have expired"):
        run()
    assert aws.looks == 2
    assert [pod["metadata"]["uid"] for pod in left(cluster, space, nodes[1:])] == [
        pod["metadata"]["uid"] for pod in second
    ], "the second node is as it was"
    aws.renewed = True
    assert run().outcome == "drained"
