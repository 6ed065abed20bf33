"""A drain that may delete pods asks for that right before it looks at anything else."""

import pytest

from pulumi_nodepools.cluster.drainer import drain
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError


class NoDeletion:
    def can_i(self, verb, resource):
        assert (verb, resource) == ("delete", "pods")
        return False


def test_force_without_the_right_to_delete_pods_is_refused_before_anything_is_changed():
    with pytest.raises(AccessDeniedError, match="lack the right `delete pods`; nothing was changed"):
        drain(
            NoDeletion(),
            nodes=lambda _node: True,
            settings=DrainSettings(on_timeout="force"),
            owner="p/v",
            before_batch=lambda _world: None,
            listen=lambda _progress: None,
        )
