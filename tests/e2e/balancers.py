"""Target groups of the simulated AWS, as scenarios make them and look at them."""

from tests.engine_case import OLD_SPEC, Cloud

SUBNET = "subnet-0aaaaaaaaaaaaaaa1"


def target_group(cloud: Cloud, name: str, protocol: str, *, local: bool) -> str:
    """As a load-balancer controller makes it, deregistered at once; checks take 40 s of AWS."""
    elbv2 = cloud.aws("elbv2")
    vpc = cloud.aws("ec2").describe_subnets(SubnetIds=[SUBNET])["Subnets"][0]["VpcId"]
    made = elbv2.create_target_group(
        Name=name,
        Protocol=protocol,
        Port=30080,
        VpcId=vpc,
        HealthCheckIntervalSeconds=20,
        HealthyThresholdCount=2,
        HealthCheckPort="31999" if local else "traffic-port",
    )
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    wait = {"Key": "deregistration_delay.timeout_seconds", "Value": "0"}
    elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[wait])
    return arn


def healthy(cloud: Cloud, arn: str) -> set[str]:
    """The targets of a group that get requests; empty while others of its targets do not."""
    told = cloud.aws("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    fine = all(each["TargetHealth"]["State"] == "healthy" for each in told)
    return {each["Target"]["Id"] for each in told} if fine else set()


def registered(cloud: Cloud, name: str, instances: set[str]) -> str:
    """A target group whose targets were put in by hand; nobody keeps them."""
    arn = target_group(cloud, name, "HTTP", local=False)
    cloud.aws("elbv2").register_targets(TargetGroupArn=arn, Targets=[{"Id": each} for each in sorted(instances)])
    return arn


def outsider(cloud: Cloud) -> str:
    """An instance of no group, of which the cluster knows nothing."""
    made = cloud.aws("ec2").run_instances(ImageId=OLD_SPEC["imageId"], MinCount=1, MaxCount=1, SubnetId=SUBNET)
    return str(made["Instances"][0]["InstanceId"])
