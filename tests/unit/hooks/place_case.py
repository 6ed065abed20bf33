"""Where hooks act in these tests: the properties that lead there, and a group beside the first."""


def where(session, cluster):
    """The properties that tell a hook its place."""
    return {
        "cluster": "prod",
        "clusterUid": cluster.cluster_uid,
        "account": session.account(),
        "region": "us-west-2",
        "access": {"kind": "kubeconfig"},
        "pool": "worker",
    }


def add_group(session, name, most):
    """A group of two instances from the launch template of the one that is there."""
    session.call(
        "autoscaling",
        "create_auto_scaling_group",
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
        MinSize=1,
        MaxSize=most,
        DesiredCapacity=2,
        AvailabilityZones=["us-west-2a"],
    )
