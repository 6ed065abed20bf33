"""Bottlerocket: settings instead of scripts. It has no shell, so none of the validator's text runs there."""

from pulumi_nodepools.bootstrap.families.family import Family

FAMILIES = (
    Family(
        name="bottlerocket",
        title="Bottlerocket",
        root_device="/dev/xvdb",  # images, containers and logs; the system's own volume is fixed
        join_units=("kubelet.service",),
        edit="",
        probe="",
        kubelet_file="",
        kernel_suffix="",
        document="settings",
        part_types=("settings",),
        joins=("eks",),
        aws_call="",
        answers_launch_hook=False,
    ),
)
