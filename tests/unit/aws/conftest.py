"""moto in this process: the same botocore calls, answered from memory."""

import pytest
from moto import mock_aws

from pulumi_nodepools.aws.session import Session
from tests import moto_gaps

REGION = "us-west-2"


@pytest.fixture
def session(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # a thousand that nobody asks for, at begin and end
    moto_gaps.fill()
    with mock_aws():
        yield Session(REGION)


@pytest.fixture
def make_group(session):
    """Creates a group with real (moto) instances in two subnets."""
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for index, zone in enumerate("ab")
    ]
    ec2.create_launch_template(
        LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    )

    def make(name="prod-worker-v1", *, minimum=1, maximum=5, desired=2):
        session.call(
            "autoscaling",
            "create_auto_scaling_group",
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(subnets),
        )
        return subnets

    return make
