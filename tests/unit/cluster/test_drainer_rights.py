"""A drain whose settings ask for more rights than any drain has looks for them before it looks at anything else."""

import pytest

from pulumi_nodepools.cluster.drainer import drain
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError


class Lacking:
    def __init__(self, *right):
        self.right = right

    def can_i(self, verb, resource, *, group, subresource, namespace):
        assert (verb, resource, group, subresource, namespace) == (*self.right, "", "")
        return False


@pytest.mark.parametrize(
    ("settings", "right", "told"),
    [
        ({"on_timeout": "force"}, ("delete", "pods", ""), "`onTimeout: force` needs the right `delete pods`"),
        (
            {"single_replicas": "surge"},
            ("patch", "deployments", "apps"),
            "`singleReplicas: surge` needs the right `patch deployments.apps`",
        ),
    ],
)
def test_a_right_that_only_a_setting_needs_is_asked_for_before_anything_is_changed(settings, right, told):
    with pytest.raises(AccessDeniedError, match=f"{told}, and these cluster credentials lack it; nothing was changed"):
        drain(
            Lacking(*right),
            nodes=lambda _node: True,
            settings=DrainSettings(**settings),
            owner="p/v",
            before_batch=lambda _world: None,
            listen=lambda _progress: None,
        )
