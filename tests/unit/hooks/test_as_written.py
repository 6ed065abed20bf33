"""What runs against what was written: a table of instances that nobody, or somebody, has changed."""

from dataclasses import replace

import pytest

from pulumi_nodepools.aws.groups import GroupView, Instance, Machine
from pulumi_nodepools.hooks.as_written import Written, departures

WANT = Written("ami-new", "m5.large")
MADE = Machine("ami-new", "m5.large")
ONE = Instance("i-1", "a", "InService", "Healthy", template_version="1")


def group(*instances):
    return GroupView("prod-worker-v2", "arn", 1, 3, len(instances), (), instances)


@pytest.mark.parametrize(
    ("instance", "machine", "want", "told"),
    [
        (ONE, MADE, WANT, None),
        (ONE, replace(MADE, image="ami-old"), WANT, "imageId ami-old in place of ami-new"),
        (ONE, replace(MADE, instance_type="t3.nano"), WANT, "instanceType t3.nano in place of m5.large"),
        (replace(ONE, template_version="2"), MADE, WANT, "version 2 of its launch template in place of 1"),
        (
            replace(ONE, template_version="7", lifecycle="Pending:Wait"),
            Machine("ami-x", "m5.large"),
            WANT,
            "version 7 of its launch template in place of 1, imageId ami-x in place of ami-new",
        ),
        (replace(ONE, template_version="2", lifecycle="Terminating:Wait"), Machine("ami-old", ""), WANT, None),
        (ONE, None, WANT, None),
        (replace(ONE, template_version=""), MADE, WANT, None),
        (ONE, Machine("ami-any", "any"), Written(), None),
    ],
)
def test_each_departure_is_named(instance, machine, want, told):
    machines = {"i-1": machine} if machine else {}
    assert departures([group(instance)], machines, want) == ({"i-1": told} if told else {})


def test_every_group_is_looked_at():
    other = replace(ONE, id="i-2", template_version="3")
    assert [*departures([group(ONE), group(other)], {}, WANT)] == ["i-2"]


def test_what_is_not_recorded_is_not_compared():
    assert Written.read({}) == Written()
    assert Written.read({"imageId": "ami-new", "instanceType": "m5.large"}) == WANT
