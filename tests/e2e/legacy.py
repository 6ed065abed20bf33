"""An Auto Scaling group that nobody made with this library: what a user brings along."""

from pathlib import Path

from pulumi_nodepools import names
from pulumi_nodepools.user_data import from_stack_file
from sandbox.engine import Config, Project
from tests.engine_case import Cloud

NAME = "legacy-workers"
SIZES = {"MinSize": 1, "MaxSize": 6, "DesiredCapacity": 2}


def make(cloud: Cloud, project: Project, *, pool: str, version: str) -> None:
    """Two nodes that join with the labels of a pool `legacy`, from the images and subnets of the project's pool."""
    settings = _settings(project, pool)
    spec = settings["versions"][version]
    cloud.aws("ec2").create_launch_template(
        LaunchTemplateName=NAME,
        LaunchTemplateData={
            "ImageId": spec["imageId"],
            "InstanceType": settings["instanceType"],
            "UserData": _user_data(project.config_file, pool, version),
        },
    )
    cloud.aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": NAME, "Version": "1"},
        VPCZoneIdentifier=",".join(settings["subnetIds"]),
        **SIZES,
    )
    cloud.until(lambda: len(nodes(cloud)) == 2, 120)


def remove(cloud: Cloud) -> None:
    """Take it away again, with its instances."""
    cloud.aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    cloud.aws("ec2").delete_launch_template(LaunchTemplateName=NAME)


def group(cloud: Cloud) -> Config:
    """The group as AWS describes it now."""
    found: list[Config] = cloud.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])[
        "AutoScalingGroups"
    ]
    return found[0]


def nodes(cloud: Cloud) -> list[Config]:
    """Its ready nodes."""
    found: list[Config] = cloud.client.get("/api/v1/nodes", labelSelector=f"{names.POOL_LABEL}=legacy")["items"]
    return [
        node
        for node in found
        if any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
    ]


def schedulable(cloud: Cloud) -> int:
    """How many of them take pods."""
    return sum(not node["spec"].get("unschedulable") for node in nodes(cloud))


def _settings(project: Project, pool: str) -> Config:
    found: Config = {}
    project.edit(lambda config: found.update(config["nodepools:pools"][pool]))
    return found


def _user_data(stack_file: Path, pool: str, version: str) -> str:
    import base64

    text, _ = from_stack_file(stack_file, pool, version)
    for label, value in ((names.POOL_LABEL, pool), (names.VERSION_LABEL, version)):
        text = text.replace(f"{label}={value}", f"{label}=legacy")
    return base64.b64encode(text.encode()).decode()
