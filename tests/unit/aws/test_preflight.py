"""What of a group, and of the account's quota, is told before a drain."""

import pytest

from pulumi_nodepools.aws import preflight, quotas
from pulumi_nodepools.aws.groups import GroupView, Instance
from pulumi_nodepools.errors import AccessDeniedError, CredentialsExpiredError

ENDS, STARTS = "autoscaling:EC2_INSTANCE_TERMINATING", "autoscaling:EC2_INSTANCE_LAUNCHING"


class Account:
    """Answers by operation; an exception is raised."""

    region = "us-west-2"

    def __init__(self, **answers):
        self.answers = {"describe_lifecycle_hooks": [], "describe_instance_refreshes": []} | answers

    def call(self, _service, operation, **_parameters):
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        key = {"describe_lifecycle_hooks": "LifecycleHooks", "describe_instance_refreshes": "InstanceRefreshes"}
        return {key[operation]: answer} if operation in key else answer

    def pages(self, _service, operation, _key, **_parameters):
        return self.answers[operation]


def _found(account, protected=0):
    instances = tuple(Instance(f"i-{n}", "a", "InService", "Healthy", protected=n < protected) for n in range(3))
    view = GroupView("prod-worker-v1", "arn", 1, 5, 3, (), instances)
    return [(one.severity, one.reason, one.object, one.message) for one in preflight.of_groups(account, [view])]


def test_an_ordinary_group_has_no_findings():
    launch = {"LifecycleHookName": "validate", "LifecycleTransition": STARTS}
    done = {"InstanceRefreshId": "r", "Status": "Successful"}
    assert _found(Account(describe_lifecycle_hooks=[launch], describe_instance_refreshes=[done])) == []


def test_a_termination_hook_is_told_with_its_time():
    hook = {"LifecycleHookName": "backup", "LifecycleTransition": ENDS, "HeartbeatTimeout": 900}
    ((severity, reason, thing, message),) = _found(Account(describe_lifecycle_hooks=[hook]))
    assert (severity, reason, thing) == ("warning", "termination-hook", "group prod-worker-v1")
    assert "backup holds each instance that ends, for up to 900 s" in message


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"])
def test_a_refresh_that_is_under_way_is_told(status):
    refresh = {"InstanceRefreshId": "r-1", "Status": status, "PercentageComplete": 40}
    ((severity, reason, _, message),) = _found(Account(describe_instance_refreshes=[refresh]))
    assert (severity, reason) == ("warning", "instance-refresh")
    assert f"r-1 is {status} (40 %)" in message


def test_protected_instances_are_worth_knowing():
    ((severity, reason, _, message),) = _found(Account(), protected=2)
    assert (severity, reason) == ("info", "scale-in-protection")
    assert message.startswith("2 of its instances")


def test_what_may_not_be_looked_at_is_said_and_holds_nothing():
    denied = Account(describe_lifecycle_hooks=AccessDeniedError("autoscaling:DescribeLifecycleHooks refused"))
    ((severity, reason, _, message),) = _found(denied)
    assert (severity, reason) == ("info", "not-checked")
    assert "DescribeLifecycleHooks refused" in message
    with pytest.raises(CredentialsExpiredError):
        _found(Account(describe_lifecycle_hooks=CredentialsExpiredError("expired")))


def _running(kind, cores, **more):
    return {"InstanceType": kind, "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": 2}, **more}


def _account(quota):
    instances = [_running("m5.xlarge", 2), _running("c5.large", 1), _running("g5.xlarge", 2)]
    return Account(
        get_service_quota={"Quota": {"Value": float(quota)}},
        describe_instances=[{"Instances": [*instances, _running("m5.large", 1, InstanceLifecycle="spot")]}],
        describe_instance_types={"InstanceTypes": [{"InstanceType": "m5.2xlarge", "VCpuInfo": {"DefaultVCpus": 8}}]},
    )


@pytest.mark.parametrize(("quota", "short"), [(22, False), (21, True)])
def test_a_quota_counts_on_demand_instances_of_the_standard_families(quota, short):
    told = quotas.shortage(_account(quota), {"m5.2xlarge": 2})
    assert bool(told) is short
    if short:
        assert "2 m5.2xlarge need 16 vCPUs beside the 6 in use" in told
        assert "is 21 (L-1216C47A)" in told


@pytest.mark.parametrize(("quota", "short"), [(48, False), (47, True)])
def test_instances_that_do_not_tell_their_cores_have_those_of_their_type(quota, short):
    account = _account(quota)
    silent = {"InstanceType": "m5.2xlarge"}
    account.answers["describe_instances"] = [{"Instances": [silent, silent, _running("m5.2xlarge", 4)]}]
    assert bool(quotas.shortage(account, {"m5.2xlarge": 3})) is short


@pytest.mark.parametrize("added", [{}, {"m5.2xlarge": 0}, {"g5.xlarge": 4}, {"inf1.xlarge": 4}, {"mac1.metal": 1}])
def test_nothing_is_asked_for_what_the_quota_does_not_cover(added):
    assert quotas.shortage(Account(), added) == ""
