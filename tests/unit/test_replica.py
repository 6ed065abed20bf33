"""A new version is like the one that serves, or the user has said where it is not."""

import pytest

from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.replica import FIELDS, PATCHED, comparable, differences, replica_field, require_replica

OLD = {"instanceType": "m5.2xlarge", "labels": {"a": "b"}, "subnetIds": ["s1", "s2"]}


def test_what_a_patch_changes_is_not_compared():
    spec = {**OLD, **dict.fromkeys(PATCHED, "x"), "cluster": {"endpoint": "https://a"}, "tags": {"team": object()}}
    assert comparable(spec) == OLD, "what is known only later cannot be compared either"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instanceType": "m5.large"}, [("instanceType", "instanceType m5.2xlarge becomes m5.large")]),
        ({"rootVolume": {"size": 50}}, [("rootVolume", "rootVolume (not set) becomes {'size': 50}")]),
        ({"subnetIds": ["s1"]}, [("subnetIds", "subnetIds s1, s2 becomes s1")]),
        ({}, []),
    ],
)
def test_each_difference_is_told_with_both_values(change, told):
    assert list(differences(OLD, OLD | change)) == told


def test_only_what_is_acknowledged_may_differ():
    found = list(differences(OLD, OLD | {"instanceType": "m5.large", "labels": {}}))
    with pytest.raises(
        ConfigError, match=r"m5\.2xlarge becomes m5\.large; labels .* write differences: \[instanceType, l"
    ):
        require_replica("worker", "v2", "v1", found, [])
    with pytest.raises(ConfigError, match=r"differences: \[labels\]"):
        require_replica("worker", "v2", "v1", found, ["instanceType"])
    require_replica("worker", "v2", "v1", found, ["labels", "instanceType"])


def test_only_fields_of_versions_can_be_acknowledged():
    assert replica_field("rootVolume") == "rootVolume"
    for name in ("rootvolume", *PATCHED):
        with pytest.raises(ValueError, match="is not a field that versions differ in"):
            replica_field(name)
    assert not {*FIELDS} & {*PATCHED}
