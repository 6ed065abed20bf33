"""NodePool: one immutable version of a pool, as launch templates and Auto Scaling groups.

It makes machines that join only once they have proved their kernel (the user data comes from bootstrap). When a
version takes workloads, and who drains it before it goes, is blue_green's business.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi
from pulumi_aws import autoscaling, ec2

from pulumi_nodepools import names
from pulumi_nodepools.args import NodePoolArgs, SizeArgs
from pulumi_nodepools.bootstrap import FAMILIES, REVISION, packed, render, warnings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.lifecycle import State
from pulumi_nodepools.node_role import NodeRole
from pulumi_nodepools.user_data import bootstrap_of

TOKEN = "nodepools:aws:NodePool"  # noqa: S105 - a type token

HEARTBEAT_SECONDS = 900
"""How long a starting instance may take before its launch hook abandons it: one boot, one reboot, validation."""

TEMPLATE_INPUTS = (
    "blockDeviceMappings",
    "description",
    "iamInstanceProfile",
    "imageId",
    "instanceMarketOptions",
    "instanceType",
    "metadataOptions",
    "name",
    "networkInterfaces",
    "tagSpecifications",
    "tags",
    "updateDefaultVersion",
    "userData",
)
"""Every input of the launch template. All are ignored after creation: what users change is refused by the version's
lock, so what is left is a newer release of this library rendering something else, which must not touch a live pool."""

GROUP_IGNORES = ("desiredCapacity", "suspendedProcesses")
"""Owned by the autoscaler and by the drain's freeze; a refresh must not bring them back."""
GROUP_IGNORES_BY_STATE: dict[State, tuple[str, ...]] = {
    "active": GROUP_IGNORES,
    # Frozen: min and max are pinned, and belong to the record until the version serves again.
    "standby": (*GROUP_IGNORES, "minSize", "maxSize"),
    "retired": (*GROUP_IGNORES, "minSize", "maxSize"),
    # Exactly as large as the stack says.
    "canary": ("suspendedProcesses",),
}


class NodePool(pulumi.ComponentResource):
    """Launch template, group (or one of each per zone), launch hook, and the role unless a profile is given."""

    groups: list[autoscaling.Group]
    group_names: list[str]
    limits: dict[str, list[int]]
    """Each group's min and max as the program has them."""

    def __init__(self, name: str, args: NodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TOKEN, name, _known(args), opts)
        self._name = name
        self._args = args
        nodes = args.nodes
        role = None if nodes.instance_profile is not None else NodeRole(name, args, pulumi.ResourceOptions(parent=self))
        self._profile = role.profile_arn if role else pulumi.Output.from_input(nodes.instance_profile or "")
        self._attachments = role.attachments if role else []
        self.groups = []
        self.group_names = []
        self.limits = {}
        for zone, subnets, size in self._places():
            group_name = names.group_name(args.cluster.name, args.pool, args.version, zone)
            template = self._create_template(zone, group_name)
            self.groups.append(self._create_group(zone, group_name, subnets, size, template))
            self.group_names.append(group_name)
            self.limits[group_name] = [size.min, size.max]
        self.register_outputs({"groupNames": self.group_names})

    def _places(self) -> list[tuple[str | None, Sequence[pulumi.Input[str]], SizeArgs]]:
        """Where groups are: one over all subnets, or one per zone with its part of the numbers."""
        args = self._args
        if args.nodes.zones == "spread" or args.zone_subnets is None:
            return [(None, args.nodes.subnet_ids, args.size)]
        zones = sorted(args.zone_subnets)
        sizes = parts(args.size, zones, args.zone_sizes)
        return [(zone, args.zone_subnets[zone], size) for zone, size in zip(zones, sizes, strict=True)]

    def _create_template(self, zone: str | None, group_name: str) -> ec2.LaunchTemplate:
        args = self._args
        nodes, tags = args.nodes, {**_tags(args), "Name": group_name}
        return ec2.LaunchTemplate(
            _suffixed(f"{self._name}-template", zone),
            name=group_name,
            description=f"Version {args.version} of node pool {args.pool} in cluster {args.cluster.name}",
            image_id=nodes.image_id,
            instance_type=nodes.instance_type,
            instance_market_options={"market_type": "spot"} if nodes.spot else None,
            iam_instance_profile=self._profile.apply(_profile_argument),
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[_root_volume(args)],
            network_interfaces=[
                ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0,
                    # AWS types these two as text, "" meaning the subnet's default.
                    associate_public_ip_address=str(nodes.associate_public_ip).lower(),
                    delete_on_termination="true",
                    security_groups=list(nodes.security_group_ids),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags) for kind in ("instance", "volume")
            ],
            tags={**tags, "nodepools.dev/renderer": str(REVISION)},
            update_default_version=False,
            user_data=self._user_data(group_name),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[args.lock] if args.lock else [], ignore_changes=list(TEMPLATE_INPUTS)
            ),
        )

    def _user_data(self, group_name: str) -> pulumi.Output[str]:
        args = self._args
        cluster, nodes = args.cluster, args.nodes

        def encode(known: Mapping[str, Any]) -> str:
            bootstrap = bootstrap_of(
                args.cluster,
                nodes,
                pool=args.pool,
                version=args.version,
                group=group_name,
                endpoint=known["endpoint"],
                authority=known["authority"],
            )
            if args.state == "canary":
                own = names.canary_taint(args.version.removesuffix(names.CANARY_SUFFIX))
                bootstrap = replace(bootstrap, taints=(*bootstrap.taints, own))
            try:
                data = packed(bootstrap, render(nodes.os_family, bootstrap))
            except ConfigError as error:
                raise pulumi.RunError(str(error)) from None
            for doubt in warnings(nodes.os_family, bootstrap):
                pulumi.log.warn(f"version {args.version} of pool {args.pool}: {doubt}", self)
            return base64.b64encode(data).decode()

        known = pulumi.Output.all(endpoint=cluster.endpoint, authority=cluster.certificate_authority)
        return known.apply(encode)

    def _create_group(
        self,
        zone: str | None,
        group_name: str,
        subnets: Sequence[pulumi.Input[str]],
        size: SizeArgs,
        template: ec2.LaunchTemplate,
    ) -> autoscaling.Group:
        args = self._args
        before = [args.lock] if args.lock else []
        return autoscaling.Group(
            _suffixed(f"{self._name}-group", zone),
            name=group_name,
            min_size=size.min,
            max_size=size.max,
            desired_capacity=size.desired,
            vpc_zone_identifiers=list(subnets),
            # The only version there is: a template never changes. "$Latest" would launch what others add by hand.
            launch_template={"id": template.id, "version": "1"},
            initial_lifecycle_hooks=_launch_hooks(args),
            wait_for_capacity_timeout="0",  # the readiness gate waits: it can say which instance failed and why
            health_check_type="EC2",
            health_check_grace_period=0,  # checks begin only after the launch hook
            # Left out when empty: an empty list would detach what others attached.
            target_group_arns=list(args.target_group_arns) or None,
            tags=_group_tags(args, group_name),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*before, *self._attachments, *args.group_depends_on],
                ignore_changes=list(GROUP_IGNORES_BY_STATE[args.state]),
                custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
            ),
        )


def _launch_hooks(args: NodePoolArgs) -> list[autoscaling.GroupInitialLifecycleHookArgs] | None:
    """None where a node could not answer: there the startup taint is what holds workloads back."""
    if not FAMILIES[args.nodes.os_family].answers_launch_hook:
        return None
    return [
        autoscaling.GroupInitialLifecycleHookArgs(
            name=names.LAUNCH_HOOK,
            lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
            default_result="ABANDON",
            heartbeat_timeout=HEARTBEAT_SECONDS,
        )
    ]


def parts(size: SizeArgs, zones: Sequence[str], begin: Mapping[str, int]) -> list[SizeArgs]:
    """The share of each zone: those of min and max add up to the whole, and the first zones get the remainder.

    A zone has as many nodes as it is to `begin` with, within its share of min and max, because volumes cannot follow
    their pods elsewhere. What is missing to the desired number goes where the fewest are.
    """
    least, most = _even(size.min, len(zones)), _even(size.max, len(zones))
    sizes = [min(max(begin.get(zone, 0), least[index]), most[index]) for index, zone in enumerate(zones)]
    while sum(sizes) < size.desired:
        fewest = min((index for index in range(len(zones)) if sizes[index] < most[index]), key=sizes.__getitem__)
        sizes[fewest] += 1
    return [SizeArgs(min=low, max=high, desired=now) for low, high, now in zip(least, most, sizes, strict=True)]


def _even(total: int, count: int) -> list[int]:
    return [total // count + (index < total % count) for index in range(count)]


def _known(args: NodePoolArgs) -> dict[str, Any]:
    """What policies must be able to judge in a preview, when user data may still be unknown."""
    nodes = args.nodes
    return {
        "cluster": args.cluster.name,
        "pool": args.pool,
        "version": args.version,
        "imageId": nodes.image_id,
        "osFamily": nodes.os_family,
        "kernelArguments": list(nodes.kernel_arguments),
        "minimumKernelVersion": nodes.minimum_kernel or "",
        "zones": nodes.zones,
        "labels": dict(nodes.labels),
        "taints": list(nodes.taints),
        "state": args.state,
    }


def _tags(args: NodePoolArgs) -> dict[str, pulumi.Input[str]]:
    return {
        **args.nodes.tags,
        f"kubernetes.io/cluster/{args.cluster.name}": "owned",
        names.CLUSTER_TAG: args.cluster.name,
        names.POOL_LABEL: args.pool,
        names.VERSION_LABEL: args.version,
    }


def _group_tags(args: NodePoolArgs, group_name: str) -> list[autoscaling.GroupTagArgs]:
    """Those of its instances and, for the cluster autoscaler, what these will be like; a user's own tag is kept."""
    onwards = {**_tags(args), "Name": group_name}
    told = {key: value for key, value in args.autoscaler_tags().items() if key not in onwards}
    return [
        autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=key in onwards)
        for key, value in sorted({**onwards, **told}.items(), key=lambda pair: pair[0])
    ]


def _root_volume(args: NodePoolArgs) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    volume = args.nodes.root_volume
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=volume.device or FAMILIES[args.nodes.os_family].root_device,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            delete_on_termination="true",
            encrypted="true",
            volume_size=volume.size or 80,
            volume_type=volume.type or "gp3",
            iops=volume.iops,
            kms_key_id=volume.kms_key_id,
        ),
    )


def _profile_argument(profile: str) -> ec2.LaunchTemplateIamInstanceProfileArgs:
    key = "arn" if profile.startswith("arn:") else "name"
    return ec2.LaunchTemplateIamInstanceProfileArgs(**{key: profile})


def _suffixed(name: str, zone: str | None) -> str:
    return f"{name}-{zone}" if zone else name
