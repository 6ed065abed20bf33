"""Where hooks act in these tests: the way there, a group beside the first, and what nodes can attach."""

from pulumi_nodepools.cluster import attach_limits

EBS = "ebs.csi.aws.com"


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


def attach_at_most(cluster, names, number):
    """So many volumes of EBS each."""
    for name in names:
        drivers = [{"name": EBS, "nodeID": name, "allocatable": {"count": number}}]
        cluster.create(attach_limits.CSI_NODES, {"metadata": {"name": name}, "spec": {"drivers": drivers}})
