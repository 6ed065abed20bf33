"""Checked by mypy, never run: the public names as another stack writes them, types and all."""

from typing import assert_type

import pulumi

from pulumi_nodepools import (
    Access,
    BatchGate,
    ClusterArgs,
    ConfigError,
    DrainSettings,
    KubeadmJoin,
    NodeArgs,
    NodePool,
    NodePoolArgs,
    NodePoolsError,
    SizeArgs,
    StackConfig,
    load,
)

cluster = ClusterArgs(
    name="prod",
    endpoint=pulumi.Output.from_input("https://api.example.com:6443"),
    certificate_authority="LS0tLS1CRUdJTg==",
    join=KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "0" * 64,)),
    access=Access(kind="kubeconfig"),
    region="us-west-2",
)
nodes = NodeArgs(
    image_id="ami-0bbbbbbbbbbb77190",
    instance_type="m5.large",
    subnet_ids=("subnet-0aaaaaaaaaaaaaaa1",),
    security_group_ids=[pulumi.Output.from_input("sg-0123456789abcdef0")],
    kernel_arguments=("cgroup.memory=nokmem",),
    role_policies=(),
)
size = SizeArgs(min=0, desired=3, max=6)
pool = NodePool("batch-v1", NodePoolArgs(cluster=cluster, pool="batch", version="v1", nodes=nodes, size=size))
pulumi.export("groups", pool.group_names)

assert_type(DrainSettings(batch_size="10%").node_timeout, float)
assert_type(DrainSettings(batch_gate=BatchGate(command=("./slo.sh", "--fast"))).batch_gate.command, tuple[str, ...])
assert_type(load(pulumi.Config("nodepools")), StackConfig)

try:
    load(pulumi.Config("nodepools"))
except ConfigError as error:
    failure: NodePoolsError = error

SizeArgs(min="none", desired=3, max=6)  # type: ignore[arg-type]
