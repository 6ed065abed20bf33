"""One small program with a good node pool, and for each mandatory rule the one change that breaks it and nothing else.

The program is run by the engine (`test_matrix`), with the library's own NodePool and DrainHook. Changes are made where
the engine's transforms make them: on the properties as the provider, and so the policies, will see them.
"""

import base64
import gzip
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws

from policies.rules.node_role import INLINE
from policies.rules.subjects import BLUE_GREEN, GROUP, POOL, TEMPLATE
from pulumi_nodepools import (
    Access,
    ClusterArgs,
    DrainHook,
    KubeadmJoin,
    NodeArgs,
    NodePool,
    NodePoolArgs,
    ReadinessGate,
    SizeArgs,
)

CASE_VARIABLE = "POLICY_MATRIX_CASE"
VERSION = "7.7.1908"
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Case:
    """What is different from the good program: changed properties by type, more resources, the pack's configuration."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    more: Callable[["Program"], None] | None = None
    hook: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)


class Program:
    """The good pool: one version with its drain hook, in a component like the library's own."""

    def __init__(self, case: Case) -> None:
        if case.changes:
            pulumi.runtime.register_resource_transform(lambda args: _transformed(args, case.changes))
        self.whole = pulumi.ComponentResource(BLUE_GREEN, "worker", {"pool": "worker", "active": VERSION})
        self.add_version(VERSION, nodes=2, hook=case.hook)
        options = pulumi.ResourceOptions(parent=self.whole)
        ReadinessGate("worker-gate", {"schemaVersion": 1, "pool": "worker", "active": VERSION}, options)
        if case.more:
            case.more(self)

    def add_version(self, version: str, *, nodes: int, hook: bool = True) -> None:
        args = NodePoolArgs(
            cluster=CLUSTER,
            pool="worker",
            version=version,
            nodes=NODES,
            size=SizeArgs(min=nodes, max=nodes, desired=nodes),
        )
        pool = NodePool(f"worker-{version}", args, pulumi.ResourceOptions(parent=self.whole))
        if hook:
            props = {"schemaVersion": 1, "pool": "worker", "version": version}
            options = pulumi.ResourceOptions(parent=self.whole, depends_on=list(pool.groups))
            DrainHook(f"worker-{version}-drain", props, options)


CLUSTER = ClusterArgs(
    name="prod",
    endpoint="https://api.prod.example.com:6443",
    certificate_authority="QUJD",
    join=KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "a" * 64,)),
    access=Access(kind="kubeconfig"),
    region="us-west-2",
)
NODES = NodeArgs(
    image_id="ami-0bbbbbbbbbbb77190",
    os_family="el7",
    kernel_arguments=("cgroup.memory=nokmem",),
    minimum_kernel="3.10.0-1062.4.1",
    instance_type="m5.2xlarge",
    subnet_ids=("subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2"),
    security_group_ids=("sg-0123456789abcdef0",),
    role_policies=(),
)


def _transformed(
    args: pulumi.ResourceTransformArgs, changes: Mapping[str, Change]
) -> pulumi.ResourceTransformResult | None:
    change = changes.get(args.type_)
    if change is None:
        return None
    props = dict(args.props)
    change(props)
    return pulumi.ResourceTransformResult(props, args.opts)


def setting(**values: Any) -> Change:
    return lambda props: props.update(values)


def inside(key: str, *path: str, value: Any) -> Change:
    """Sets a value in the first object of a list of objects, or in one object."""

    def change(props: dict[str, Any]) -> None:
        target = props[key][0] if isinstance(props[key], list) else props[key]
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return change


def user_data(edit: Callable[[str], str]) -> Change:
    """Edits the text of the user data as it ships, whether compressed or not."""

    def encoded(shipped: str) -> str:
        raw = base64.b64decode(shipped)
        text = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        changed = edit(text.decode())
        assert changed != text.decode(), "the change has nothing to change"
        return base64.b64encode(changed.encode()).decode()

    def change(props: dict[str, Any]) -> None:
        props["userData"] = pulumi.Output.from_input(props["userData"]).apply(encoded)

    return change


def with_part(kind: str, text: str) -> Change:
    """Adds a part to the user data's MIME document."""

    def edit(document: str) -> str:
        boundary = document.partition('boundary="')[2].partition('"')[0]
        head, end, tail = document.rpartition(f"--{boundary}--")
        return f"{head}--{boundary}\nContent-Type: {kind}\n\n{text}\n{end}{tail}"

    return user_data(edit)


def replaced(good: str, bad: str) -> Change:
    return user_data(lambda text: text.replace(good, bad))


def both(*changes: Change) -> Change:
    def change(props: dict[str, Any]) -> None:
        for one in changes:
            one(props)

    return change


def without_tag(props: dict[str, Any]) -> None:
    props["tags"] = [tag for tag in props["tags"] if tag["key"] != "nodepools.dev/version"]


def wrong_autoscaler_tag(props: dict[str, Any]) -> None:
    key = "k8s.io/cluster-autoscaler/node-template/label/example.com/pool"
    props["tags"] = [*props["tags"], {"key": key, "value": "batch", "propagateAtLaunch": True}]
    props["suspendedProcesses"] = ["AZRebalance"]


def open_port(_: Program) -> None:
    rule = {"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}
    pulumi_aws.ec2.SecurityGroup("open", ingress=[rule])


SCRIPT = "text/x-shellscript"
CANARY = setting(state="canary")
TAINTED = with_part(SCRIPT, "#!/bin/sh\n: --register-with-taints=nodepools.dev/canary=7.7.1908:NoSchedule")
TOML = base64.b64encode(b"[settings.autoscaling]\nshould-wait = true\n").decode()
LINES = "\n".join(f"# {number:060d}" for number in range(400))
TEMPLATES: dict[str, Change] = {
    "metadata-tokens": inside("metadataOptions", "httpTokens", value="optional"),
    "volume-encryption": inside("blockDeviceMappings", "ebs", "encrypted", value="false"),
    "volume-type": inside("blockDeviceMappings", "ebs", "volumeType", value="gp2"),
    "public-address": inside("networkInterfaces", "associatePublicIpAddress", value="true"),
    "ssh-key": setting(keyName="ops"),
    "image": setting(imageId="resolve:ssm:/aws/service/ami-amazon-linux-latest"),
    "secrets": with_part(SCRIPT, "#!/bin/sh\nkubeadm join --token abcdef.0123456789abcdef"),
    "user-data-size": with_part(SCRIPT, f"#!/bin/sh\n{LINES}"),
    "user-data-form": replaced(f"Content-Type: {SCRIPT};", "Content-Type: text/x-shelscript;"),
    "kernel-arguments": replaced("ConditionKernelCommandLine=", "ConditionKernelComandLine="),
    "one-reboot": with_part("text/cloud-config", "#cloud-config\npower_state: {mode: reboot}"),
}
GROUPS: dict[str, Change] = {
    "template-version": inside("launchTemplate", "version", value="$Latest"),
    "launch-hook": setting(initialLifecycleHooks=[]),
    "tags": without_tag,
    "autoscaler-tags": wrong_autoscaler_tag,
}
POOLS: dict[str, Change] = {
    "nokmem": setting(kernelArguments=[]),
    "kernel-floor": setting(minimumKernelVersion=""),
    "labels": setting(labels={"node-role.kubernetes.io/worker": ""}),
    "control-plane": setting(taints=["node-role.kubernetes.io/control-plane:NoSchedule"]),
}
CASES: dict[str, Case] = {
    **{f"nodepools-launch-template-{name}": Case({TEMPLATE: change}) for name, change in TEMPLATES.items()},
    **{f"nodepools-group-{name}": Case({GROUP: change}) for name, change in GROUPS.items()},
    **{f"nodepools-pool-{name}": Case({POOL: change}) for name, change in POOLS.items()},
    "nodepools-launch-template-should-wait": Case(
        {POOL: setting(osFamily="bottlerocket", kernelArguments=[]), TEMPLATE: setting(userData=TOML)}
    ),
    "nodepools-security-group-ssh": Case(more=open_port),
    "nodepools-pool-image-approved": Case(
        config={"nodepools-pool-image-approved": {"images": [{"id": "ami-0cccccccccccccccc"}]}}
    ),
    "nodepools-canary-taint": Case({POOL: CANARY}),
    "nodepools-canary-on-demand": Case(
        {POOL: CANARY, TEMPLATE: both(TAINTED, setting(instanceMarketOptions={"marketType": "spot"}))}
    ),
    "nodepools-canary-size": Case({POOL: CANARY, TEMPLATE: TAINTED, GROUP: setting(maxSize=4)}),
    "nodepools-node-role-launch-hook": Case(
        {INLINE: lambda props: props.update(policy=props["policy"].replace("/prod-worker-*", "/*"))}
    ),
    "nodepools-group-drain-hook": Case(hook=False),
    "nodepools-pool-replacement-size": Case(more=lambda program: program.add_version("7.6.1810", nodes=3)),
    "nodepools-pool-soak-evidence": Case(config={"nodepools-pool-soak-evidence": {"pools": ["worker"]}}),
}


def main() -> None:
    """What the engine runs: the good program, or the case that the environment names."""
    name = os.environ.get(CASE_VARIABLE, "")
    Program(CASES[name] if name else Case())
