"""Versions in every state against a mock engine: what each consists of, and that no edge joins two of them."""

import base64

import pulumi
import pytest

from pulumi_nodepools import BlueGreenNodePool, RootVolumeArgs
from pulumi_nodepools.bootstrap import UserPart
from pulumi_nodepools.replica import FIELDS, PATCHED
from pulumi_nodepools.version_spec import spec
from tests.components.conftest import make_cluster, make_nodes, make_pool
from tests.components.engine import Recording, run

ACTIVE, STANDBY, RETIRED, CANARY = "7.7.1908", "7.6.1810", "7.5.1804", "7.8.2003"
CUTOVER, GATE = "worker-cutover", "worker-gate"


def build(surveyed, *, active: str = ACTIVE, canary: bool = True, **seen) -> Recording:
    surveyed(live=14, existing=[ACTIVE, STANDBY, RETIRED], **seen)
    versions = dict.fromkeys((ACTIVE, STANDBY, RETIRED, *([CANARY] if canary else [])), make_nodes())
    args = make_pool(
        active=active,
        versions=versions,
        retired=[RETIRED],
        canaries={CANARY: 2} if canary else {},
        target_group_arns=["arn:of:a:target:group"],
        smoke_test="true",
    )
    return run(lambda: BlueGreenNodePool("worker", args))


def test_every_version_has_its_lock_its_groups_and_its_hook(surveyed) -> None:
    recorded = build(surveyed)
    for version in (ACTIVE, STANDBY, RETIRED):
        name = f"worker-{version}"
        assert recorded[f"{name}-lock"].inputs["version"] == version
        assert recorded[f"{name}-drain"].dependencies == {f"{name}-group"}
        assert recorded[f"{name}-drain"].inputs["version"] == version
    assert recorded[f"worker-{CANARY}-canary-drain"].dependencies == {f"worker-{CANARY}-canary-group"}


def test_no_edge_joins_two_versions(surveyed) -> None:
    recorded = build(surveyed)
    for one in recorded.registered:
        named = {v for v in (ACTIVE, STANDBY, RETIRED, CANARY) for end in (one.name, *one.dependencies) if v in end}
        assert len(named) <= 1, f"{one.name} depends on {one.dependencies}"


def test_the_cutover_comes_after_gate_and_smoke_test_and_knows_the_others_by_value(surveyed) -> None:
    recorded = build(surveyed)
    cutover = recorded[CUTOVER]
    assert cutover.dependencies == {GATE, "worker-smoke-test", f"worker-{ACTIVE}-group"}
    assert cutover.property_dependencies["others"] == set()
    assert cutover.inputs["urn"] == cutover.urn
    assert (cutover.inputs["active"], cutover.inputs["proved"], cutover.inputs["generation"]) == (ACTIVE, ACTIVE, 1)
    assert cutover.inputs["others"] == [
        {"version": version, "state": state, "groups": [{"name": name, "arn": f"arn:aws:autoscaling:::{name}"}]}
        for version, state in ((RETIRED, "retired"), (STANDBY, "standby"))
        for name in [f"prod-worker-{version}"]
    ]


def test_only_the_active_version_follows_the_limits_of_the_stack(surveyed) -> None:
    recorded = build(surveyed)
    assert recorded[f"worker-{ACTIVE}-group"].ignore_changes == ["desiredCapacity", "suspendedProcesses"]
    for version in (STANDBY, RETIRED):
        ignored = recorded[f"worker-{version}-group"].ignore_changes
        assert ignored == ["desiredCapacity", "suspendedProcesses", "minSize", "maxSize"]
    assert recorded[GATE].inputs["limits"] == {f"prod-worker-{ACTIVE}": [3, 20]}
    assert recorded[GATE].inputs["written"] == {"imageId": "ami-0bbbbbbbbbbb77190", "instanceType": "m5.2xlarge"}


def test_a_version_that_is_not_active_would_be_made_empty(surveyed) -> None:
    group = build(surveyed)[f"worker-{STANDBY}-group"].inputs
    assert (group["minSize"], group["desiredCapacity"]) == (0, 0)


def test_a_canary_is_a_small_tainted_group_of_its_own_that_takes_no_traffic(surveyed) -> None:
    recorded = build(surveyed)
    group = recorded[f"worker-{CANARY}-canary-group"]
    assert [group.inputs[key] for key in ("minSize", "desiredCapacity", "maxSize")] == [2, 2, 2]
    assert group.ignore_changes == ["suspendedProcesses"], "its size is what the stack says"
    assert "targetGroupArns" not in group.inputs
    text = base64.b64decode(recorded[f"worker-{CANARY}-canary-template"].inputs["userData"]).decode()
    assert f"--register-with-taints=nodepools.dev/canary={CANARY}:NoSchedule" in text
    assert f"nodepools.dev/version={CANARY}-canary" in text
    gate = recorded[f"worker-{CANARY}-canary-gate"]
    assert (gate.inputs["canary"], gate.inputs["active"]) == (True, f"{CANARY}-canary")
    assert gate.dependencies == {f"worker-{CANARY}-canary-group", f"worker-{CANARY}-canary-drain"}
    assert CANARY not in str(recorded[CUTOVER].inputs)


def test_what_was_tried_is_what_is_promoted(surveyed) -> None:
    canary = build(surveyed)[f"worker-{CANARY}-lock"].inputs
    surveyed(live=14, existing=[ACTIVE])
    args = make_pool(active=CANARY, versions=dict.fromkeys((ACTIVE, CANARY), make_nodes()))
    promoted = run(lambda: BlueGreenNodePool("worker", args))
    assert promoted[f"worker-{CANARY}-lock"].inputs == canary
    text = base64.b64decode(promoted[f"worker-{CANARY}-template"].inputs["userData"]).decode()
    assert "register-with-taints=nodepools.dev" not in text
    assert promoted[f"worker-{CANARY}-group"].inputs["desiredCapacity"] == 14
    assert not [one.name for one in promoted.registered if "-canary" in one.name]


def test_an_unfinished_switch_reaches_gate_and_cutover_but_no_canary(surveyed) -> None:
    recorded = build(surveyed, pending=STANDBY)
    assert recorded[GATE].inputs["pending"] == recorded[CUTOVER].inputs["pending"] == STANDBY
    assert recorded[f"worker-{CANARY}-canary-gate"].inputs["pending"] == ""


def test_what_cannot_be_reached_in_one_step_is_refused_before_anything_is_registered(surveyed) -> None:
    surveyed(live=14, existing=[ACTIVE])
    args = make_pool(versions=dict.fromkeys((ACTIVE, STANDBY), make_nodes()))
    told = []

    def program() -> None:
        with pytest.raises(pulumi.RunError, match="there is nothing to keep") as caught:
            BlueGreenNodePool("worker", args)
        told.append(str(caught.value))

    assert run(program).registered == []
    assert STANDBY in told[0]


def test_outputs_know_every_version(surveyed) -> None:
    pool = build(surveyed).result
    assert (sorted(pool.pools), sorted(pool.canaries)) == ([RETIRED, STANDBY, ACTIVE], [CANARY])
    assert pool.active is pool.pools[ACTIVE]
    assert pool.group_names == [f"prod-worker-{ACTIVE}"]


def test_an_adopted_group_is_nothing_but_a_lookup(surveyed) -> None:
    surveyed(existing=["adopted"])
    args = make_pool(active="adopted", versions={}, adopted={"adopted": "legacy-workers"})
    recorded = run(lambda: BlueGreenNodePool("worker", args))
    assert {one.name for one in recorded.registered} == {"worker", GATE, CUTOVER}
    gate = recorded[GATE].inputs
    assert (gate["adopted"], gate["active"]) == (True, "adopted")
    assert (
        recorded[CUTOVER].inputs["groups"]
        == gate["groups"]
        == [{"name": "prod-worker-adopted", "arn": "arn:aws:autoscaling:::prod-worker-adopted"}]
    )
    assert recorded.result.active is None
    assert recorded.result.group_names == ["prod-worker-adopted"]


def test_an_adopted_group_stands_by_like_any_other_version(surveyed) -> None:
    surveyed(live=14, existing=["adopted"])
    args = make_pool(adopted={"adopted": "legacy-workers"}, retired=["adopted"])
    recorded = run(lambda: BlueGreenNodePool("worker", args))
    (other,) = recorded[CUTOVER].inputs["others"]
    assert (other["version"], other["state"]) == ("adopted", "retired")
    assert not [one.name for one in recorded.registered if "adopted" in one.name]


def test_a_new_version_that_is_no_replica_is_refused_until_that_is_acknowledged(surveyed) -> None:
    surveyed(live=14)
    replica = run(lambda: BlueGreenNodePool("worker", make_pool()))[CUTOVER].inputs["replica"]
    assert (replica["instanceType"], "imageId" in replica, "kernel" in replica) == ("m5.2xlarge", False, False)
    larger = make_nodes(instance_type="m5.4xlarge", image_id="ami-0ccccccccccc77191", kernel_arguments=())

    def build(**changes) -> Recording:
        return run(lambda: BlueGreenNodePool("worker", make_pool("7.8.2003", larger, **changes)))

    surveyed(live=14, replica=replica)
    with pytest.raises(
        pulumi.RunError, match=r"instanceType m5\.2xlarge becomes m5\.4xlarge.*differences: \[instanceType\]"
    ):
        build()
    assert build(differences=["instanceType"])["worker-7.8.2003-group"]
    surveyed(live=14, replica=replica, existing=["7.8.2003"])
    assert build()["worker-7.8.2003-group"], "the way back is never barred"


def test_every_field_of_a_version_is_a_patch_or_may_be_acknowledged() -> None:
    volume = RootVolumeArgs(size=50)
    part = UserPart(name="a.sh", type="shell-script", content="#!/bin/sh")
    nodes = make_nodes(
        taints=["a=b:NoSchedule"],
        kubelet_arguments=["--v=2"],
        root_volume=volume,
        zones="each",
        associate_public_ip=True,
        startup_taint=True,
        user_parts=[part],
        spot=True,
    )
    own = {*run(lambda: spec(make_cluster(), nodes)).result, "instanceProfile"}
    assert own == {*FIELDS, *PATCHED, "cluster"}
