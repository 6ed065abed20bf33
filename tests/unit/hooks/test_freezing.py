"""A freeze is recorded before it is made, survives being repeated, and is undone to exactly what was before."""

import pytest

from pulumi_nodepools.aws import groups
from pulumi_nodepools.cluster.record import Frozen, PoolRecord
from pulumi_nodepools.errors import ClusterUnreachableError
from pulumi_nodepools.hooks import freezing

NAME = "prod-worker-v1"


@pytest.fixture
def record(cluster):
    return PoolRecord(cluster, "worker")


def _view(session):
    return groups.describe(session, [NAME])[NAME]


def _sizes(session):
    view = _view(session)
    return view.min, view.max, view.desired


def test_a_freeze_is_undone_to_what_was(session, make_group, record):
    make_group(minimum=1, maximum=5, desired=2)
    session.call("autoscaling", "suspend_processes", AutoScalingGroupName=NAME, ScalingProcesses=["AZRebalance"])
    freezing.freeze(session, record, "v1", [_view(session)])
    assert _sizes(session) == (2, 2, 2)
    freezing.freeze(session, record, "v1", [_view(session)])
    assert record.load().frozen[NAME].max == 5
    assert freezing.thaw(session, record, "v1") == [NAME]
    assert _sizes(session) == (1, 5, 2)
    # It was the user who had suspended this one.
    assert _view(session).suspended == ("AZRebalance",)
    assert record.load().frozen == {}


def test_the_record_comes_first(session, make_group, record, cluster):
    make_group()
    view = _view(session)
    cluster.down = True
    with pytest.raises(ClusterUnreachableError):
        freezing.freeze(session, record, "v1", [view])
    assert _view(session) == view


def test_a_run_killed_between_record_and_aws_is_repeated(session, make_group, record, monkeypatch):
    make_group()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(groups, "freeze", killed)
        with pytest.raises(KeyboardInterrupt):
            freezing.freeze(session, record, "v1", [_view(session)])
    freezing.freeze(session, record, "v1", [_view(session)])
    freezing.thaw(session, record, "v1")
    assert _sizes(session) == (1, 5, 2)


def test_a_later_group_of_the_same_name_is_left_alone(session, make_group, record):
    make_group()
    was = Frozen("arn:of:an:older:one", "v1", 7, 9, 8, ("Launch",))
    record.update(lambda now: type(now)(now.pool, frozen={NAME: was}))
    groups.suspend_launch(session, NAME)
    assert freezing.thaw(session, record, "v1") == []
    assert _sizes(session) == (1, 5, 2)
    assert _view(session).suspended == ("Launch",)
    assert record.load().frozen == {}


def test_stopped_launches_of_a_failed_version_resume_and_a_freeze_on_top_is_undone_too(session, make_group, record):
    make_group()
    freezing.stop_launches(session, record, "v1", [_view(session)])
    assert _view(session).suspended == ("Launch",)
    assert _sizes(session) == (1, 5, 2)
    freezing.freeze(session, record, "v1", [_view(session)])
    freezing.thaw(session, record, "v1")
    assert _view(session).suspended == ()
    assert _sizes(session) == (1, 5, 2)


def test_the_serving_version_may_grow_but_not_shrink(session, make_group, record):
    make_group(minimum=1, maximum=5, desired=3)
    freezing.hold_floor(session, record, "v1", [_view(session)])
    assert _sizes(session) == (3, 5, 3)
    freezing.hold_floor(session, record, "v1", [_view(session)])
    freezing.release_floor(session, record, "v1")
    assert _sizes(session) == (1, 5, 3)


def test_other_versions_stay_frozen(session, make_group, record):
    make_group()
    freezing.freeze(session, record, "v1", [_view(session)])
    assert freezing.thaw(session, record, "v2") == []
    assert _sizes(session) == (2, 2, 2)


def test_groups_that_are_gone_are_forgotten_and_others_kept(session, make_group, record):
    make_group()
    freezing.freeze(session, record, "v1", [_view(session)])
    gone = Frozen("arn:gone", "v0", 1, 2, 1, ("Launch",))
    record.update(lambda now: type(now)(now.pool, frozen={**now.frozen, "prod-worker-v0": gone}))
    freezing.prune(session, record)
    assert set(record.load().frozen) == {NAME}


def test_only_drained_instances_are_terminated_protected_or_not(session, make_group, record):
    make_group(desired=3)
    first, second, other = (one.id for one in _view(session).instances)
    session.call(
        "autoscaling",
        "set_instance_protection",
        AutoScalingGroupName=NAME,
        InstanceIds=[first],
        ProtectedFromScaleIn=True,
    )
    freezing.freeze(session, record, "v1", [_view(session)])
    freezing.empty(session, [_view(session)], {first, second})
    assert [one.id for one in _view(session).instances] == [other]
    assert _sizes(session)[2] == 1
    freezing.empty(session, [_view(session)], {first, second, other})
    assert (_view(session).instances, _sizes(session)[2]) == ((), 0)
