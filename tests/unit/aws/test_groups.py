"""Groups as described, frozen and thawed, against moto's Auto Scaling."""

import pytest

from pulumi_nodepools.aws import groups, subnets
from pulumi_nodepools.aws.groups import FailedLaunch
from pulumi_nodepools.errors import ConfigError


def _view(session, name="prod-worker-v1"):
    return groups.describe(session, [name])[name]


def test_describe_has_only_the_groups_that_exist(session, make_group):
    make_group()
    found = groups.describe(session, ["prod-worker-v1", "prod-worker-v2"])
    assert set(found) == {"prod-worker-v1"}
    view = found["prod-worker-v1"]
    assert (view.min, view.max, view.desired, len(view.instances)) == (1, 5, 2, 2)
    assert view.arn.startswith("arn:aws:autoscaling:us-west-2:")
    assert all(instance.az.startswith("us-west-2") for instance in view.instances)


def test_describe_asks_for_more_names_than_one_call_takes(session, make_group):
    make_group()
    assert set(groups.describe(session, [f"none-{n}" for n in range(120)] + ["prod-worker-v1"])) == {"prod-worker-v1"}


def test_no_names_asks_nothing(session):
    # To AWS an empty list of names means every group of the account.
    assert groups.describe(session, []) == {}


def test_freeze_pins_the_live_size_and_may_be_repeated(session, make_group):
    make_group()
    groups.freeze(session, _view(session))
    groups.freeze(session, _view(session))
    view = _view(session)
    assert (view.min, view.max, view.desired) == (2, 2, 2)
    assert set(view.suspended) == set(groups.FROZEN_PROCESSES)
    assert "Terminate" not in view.suspended


def test_thaw_resumes_only_the_processes_named(session, make_group):
    make_group()
    groups.freeze(session, _view(session))
    groups.thaw(session, "prod-worker-v1", minimum=1, maximum=5, processes=["Launch", "AZRebalance"])
    view = _view(session)
    assert (view.min, view.max) == (1, 5)
    assert set(view.suspended) == set(groups.FROZEN_PROCESSES) - {"Launch", "AZRebalance"}


def test_resuming_nothing_resumes_nothing(session, make_group):
    make_group()
    groups.suspend_launch(session, "prod-worker-v1")
    groups.resume(session, "prod-worker-v1", [])
    assert _view(session).suspended == ("Launch",)


def test_instances_that_ec2_forgot_are_absent(session, make_group):
    make_group()
    ids = [instance.id for instance in _view(session).instances]
    session.call("ec2", "terminate_instances", InstanceIds=ids[:1])
    states = groups.instance_states(session, [*ids, "i-0000000000000dead"])
    assert states == {ids[0]: "terminated", ids[1]: "running", "i-0000000000000dead": "absent"}


def test_a_failed_launch_is_explained_by_what_the_node_left_as_a_tag(session, make_group):
    make_group()
    told, silent = (instance.id for instance in _view(session).instances)
    session.call("ec2", "create_tags", Resources=[told], Tags=[{"Key": "nodepools.dev/refused", "Value": "too old"}])
    session.call("ec2", "terminate_instances", InstanceIds=[told])
    failed = [FailedLaunch("a1", told, "ABANDON Result"), FailedLaunch("a2", silent, "ABANDON Result")]
    failed.append(FailedLaunch("a3", "", "no capacity"))
    explained = groups.explained(session, failed)
    assert [(one.instance, one.reason) for one in explained] == [
        (told, "too old"),
        (silent, "ABANDON Result"),
        ("", "no capacity"),
    ]


def test_failed_launches_name_instance_and_reason(session, make_group, monkeypatch):
    make_group()
    raw = [
        {
            "ActivityId": "a1",
            "Description": "Launching a new EC2 instance: i-0abc.",
            "StatusCode": "Cancelled",
            "StatusMessage": "Instance failed to complete user's Lifecycle Action: ABANDON Result",
        },
        {
            "ActivityId": "a2",
            "Description": "Launching a new EC2 instance",
            "StatusCode": "Failed",
            "Cause": "capacity",
        },
        {"ActivityId": "a3", "Description": "Launching a new EC2 instance: i-0def", "StatusCode": "Successful"},
        {"ActivityId": "a4", "Description": "Terminating EC2 instance: i-0def", "StatusCode": "Failed"},
    ]
    monkeypatch.setattr(session, "call", lambda *_, **__: {"Activities": raw})
    failed = groups.activities(session, "prod-worker-v1")
    assert [(launch.instance, launch.reason.split(":")[-1].strip()) for launch in failed] == [
        ("i-0abc", "ABANDON Result"),
        ("", "capacity"),
    ]


def test_subnets_have_zones_and_free_addresses(session, make_group):
    ids = make_group()
    zones, free = subnets.describe(session, ids)
    assert zones == dict(zip(ids, ("us-west-2a", "us-west-2b"), strict=True))
    assert all(count > 200 for count in free.values())


def test_missing_subnets_are_named(session):
    with pytest.raises(ConfigError, match="subnet-0nothere not found in region us-west-2"):
        subnets.describe(session, ["subnet-0nothere"])


def test_a_freeze_pins_the_size_of_then_and_not_that_of_an_older_look(session, make_group):
    make_group(desired=2)
    seen = _view(session)
    groups.scale(session, "prod-worker-v1", 3)
    groups.freeze(session, seen)
    now = _view(session)
    assert (now.min, now.max, len(now.instances)) == (3, 3, 3), "nothing was terminated"
