"""One mistake in the stack's YAML is one line: its path, the value and the fix."""

from typing import Any

import pytest

from pulumi_nodepools.config import parse
from tests.unit.config_case import ABSENT, POOL, VERSION, edited, problems

OVERRIDE = {"version": "7.7.1908", "reason": "the rig itself is broken"}
IMAGE = "example.com/image@sha256:" + "a" * 64
ANY_LINE = [{"name": "x", "patterns": [{"id": "x", "kind": "kernel", "pattern": ".*", "weight": "weak"}]}]


def soak(**changes):
    """A soak that can be used, with changes."""
    images = {"collector": IMAGE, "kernelWatch": IMAGE}
    return {"images": images, "pods": {"spec": {"containers": [{"name": "x", "image": "x"}]}}} | changes


TABLE: list[tuple[tuple[Any, ...], Any, str]] = [
    # unknown keys
    (
        (*POOL, "instancetype"),
        "m5.large",
        "pools.worker.instancetype: unknown key; did you mean instanceType?",
    ),
    (("cluster", "endpont"), "x", "cluster.endpont: unknown key; did you mean endpoint?"),
    ((*VERSION, "image_id"), "x", 'pools.worker.versions."7.6.1810".image_id: unknown key; did you mean imageId?'),
    ((*POOL, "drain", "color"), 1, "unknown key; known here: acknowledge, barePods"),
    # wrong types and values
    ((*POOL, "size", "min"), "three", 'pools.worker.size.min: "three" is not a whole number; write it without quotes'),
    ((*POOL, "size"), [3], "pools.worker.size: [3] is not a map; write {key: value}"),
    ((*POOL, "subnetIds"), "subnet-0aaaaaaaaaaaaaaa1", " is not a list; write it in brackets"),
    ((*POOL, "subnetIds"), [], "pools.worker.subnetIds: is empty; list at least one"),
    ((*POOL, "labels"), {"a": True}, "pools.worker.labels.a: true is not text; write it in quotes"),
    ((*POOL, "zones"), "all", "pools.worker.zones: \"all\" is not known; write one of 'spread', 'each'"),
    (
        (*POOL, "rootVolume"),
        {"type": "gp2"},
        "pools.worker.rootVolume.type: \"gp2\" is not known; write one of 'gp3', 'io2'",
    ),
    ((*POOL, "rootVolume"), {"size": 4}, "pools.worker.rootVolume.size: 4 is out of range; write at least 8"),
    ((*POOL, "rootVolume"), {"type": "io2"}, "pools.worker.rootVolume.iops: missing; a volume of type io2 needs it"),
    ((*POOL, "associatePublicIp"), "no", 'pools.worker.associatePublicIp: "no" is not true or false'),
    (
        (*POOL, "drain", "timeout"),
        30,
        "pools.worker.drain.timeout: 30 is not a duration; write it like 30s, 30m or 1h30m",
    ),
    ((*POOL, "drain", "timeout"), "soon", "pools.worker.drain.timeout: 'soon' is not a duration"),
    ((*POOL, "drain", "timeout"), "0s", 'pools.worker.drain.timeout: "0s" leaves no time; write it like 30m'),
    ((*POOL, "drain", "batchSize"), "110%", "pools.worker.drain.batchSize: '110%' is neither a count of at least 1"),
    ((*POOL, "drain", "poolOrder"), 1001, "pools.worker.drain.poolOrder: 1001 is"),
    ((*POOL, "drain", "batchSize"), 0.1, "pools.worker.drain.batchSize: 0.1 is not a batch size"),
    (
        (*POOL, "drain", "batchGate"),
        {"command": "./slo.sh --fast"},
        'pools.worker.drain.batchGate.command: "./slo.sh --fast" is not a list',
    ),
    (
        (*POOL, "drain", "batchGate"),
        {"command": ["./slo.sh"], "commandTimeout": "0s"},
        'pools.worker.drain.batchGate.commandTimeout: "0s" leaves no time; write it like 5m',
    ),
    ((*POOL, "drain", "batchGate"), {"consecutive": 0}, "batchGate.consecutive: 0 is out of range; write at least 1"),
    ((*POOL, "drain", "batchGate"), {"comand": []}, "batchGate.comand: unknown key; did you mean command?"),
    ((*POOL, "gate", "consecutive"), 0, "pools.worker.gate.consecutive: 0 is out of range; write at least 1"),
    (
        (*VERSION, "kernel"),
        {"arguments": ["cgroup.memory=nosocket,nokmem"]},
        '"cgroup.memory=nosocket,nokmem" joins several; the gate looks for single words: list cgroup.memory=nosocket ',
    ),
    (("cluster", "join"), {"kind": "eks", "serviceCidr": "10.100/16"}, "is not a network such as 10.100.0.0/16"),
    # missing
    ((*VERSION, "osFamily"), ABSENT, "osFamily: missing; write the operating system's family: el7, al2, el8"),
    (
        (*POOL, "instanceType"),
        ABSENT,
        "pools.worker.instanceType: missing; write the EC2 instance type, such as m5.2xlarge",
    ),
    (
        (*POOL, "rolePolicies"),
        ABSENT,
        "pools.worker.instanceProfile: missing; name a profile of yours, or write rolePolicies",
    ),
    (("cluster", "join"), ABSENT, "cluster.join: missing; write how nodes join: {kind: kubeadm"),
    (("cluster", "access"), {}, "cluster.access.kind: missing; write one of kubeconfig, eks"),
    # values that contradict one another
    (
        (*POOL, "active"),
        "9.9.9",
        'pools.worker.active: "9.9.9" is not listed under versions; listed: "7.6.1810"; add it there, or set active',
    ),
    ((*POOL, "size", "initial"), 21, "pools.worker.size.initial: 21 is more than max 20; write min <= initial <= max"),
    ((*POOL, "size", "initial"), 1, "pools.worker.size.initial: 1 is less than min 3; write min <= initial <= max"),
    ((*POOL, "size", "min"), 30, "pools.worker.size.min: 30 is more than max 20; write min <= initial <= max"),
    ((*POOL, "instanceProfile"), "nodes", "pools.worker.rolePolicies: stands beside instanceProfile"),
    # ids and shapes
    ((*VERSION, "imageId"), "ami-xyz", '"ami-xyz" is not an AMI id; give the id: ami- and 8 or 17 hexadecimal digits'),
    (
        (*VERSION, "imageId"),
        "resolve:ssm:/images/el7",
        "`nodepools resolve-ami` will write it for you but is not there yet",
    ),
    ((*VERSION, "osFamily"), "el6", "osFamily: \"el6\" is not known; write one of 'el7', 'al2', 'el8', "),
    ((*VERSION, "kernel"), {"arguments": ["a b"]}, 'kernel.arguments[0]: "a b" is not one kernel argument'),
    ((*VERSION, "kernel"), {"minimumVersion": 3.1}, "kernel.minimumVersion: 3.1 is not text; write it in quotes"),
    ((*VERSION, "kernel"), {"minimumVersion": "new"}, '"new" is not a kernel version; write it as uname -r does'),
    ((*POOL, "instanceType"), "large", 'pools.worker.instanceType: "large" is not an instance type; write family.size'),
    ((*POOL, "subnetIds"), ["subnet-1"], 'pools.worker.subnetIds[0]: "subnet-1" is not a subnet id'),
    ((*POOL, "rolePolicies"), ["Admin"], 'pools.worker.rolePolicies[0]: "Admin" is not the ARN of a managed policy'),
    ((*POOL, "tags"), {"nodepools.dev/pool": "x"}, "is set by AWS or by this library; choose another key"),
    ((*POOL, "kubelet"), {"arguments": ["--node-labels=a=b"]}, "--node-labels is set by this library; use the labels"),
    (
        ("cluster", "endpoint"),
        "http://x",
        'cluster.endpoint: "http://x" is not the API server\'s address; write https://host',
    ),
    (("cluster", "certificateAuthority"), "AAAA", 'cluster.certificateAuthority: "AAAA" is not a certificate'),
    (
        ("cluster", "join", "tokenParameter"),
        "abcdef.0123456789abcdef",
        "cluster.join.tokenParameter: this is a join token",
    ),
    (("cluster", "join", "caCertHashes"), ["md5:1"], 'cluster.join.caCertHashes[0]: "md5:1" is not a CA hash'),
    (("cluster", "join", "kind"), "magic", 'cluster.join.kind: "magic" is not known; write one of kubeadm, eks'),
    # labels that a kubelet may not set, taints
    ((*POOL, "labels"), {"node-role.kubernetes.io/worker": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"node-restriction.kubernetes.io/x": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"example.k8s.io/x": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"nodepools.dev/x": ""}, "labels of nodepools.dev are set by this library alone"),
    ((*POOL, "labels"), {"a": "b c"}, 'pools.worker.labels.a: "b c" is not a label value'),
    ((*POOL, "taints"), ["a=b"], 'pools.worker.taints[0]: "a=b" is not a taint; write key=value:Effect'),
    ((*POOL, "taints"), ["a=b:Never"], "with one of NoSchedule, PreferNoSchedule, NoExecute"),
    # what contradicts itself
    ((*VERSION, "canary"), {"count": 1}, "canary: stands on the active version; to promote it remove canary"),
    ((*VERSION, "retired"), True, "retired: stands on the active version; make another one active first"),
    ((*POOL, "differences"), ["imageId"], '"imageId" is not a field that versions differ in; write some of'),
    # soaks
    ((*POOL, "soak"), {}, "pools.worker.soak.images: missing; write {collector: ...@sha256:..., kernelWatch:"),
    ((*POOL, "soak"), soak(images={"collector": "python:3.12", "kernelWatch": IMAGE}), "not an image with its digest"),
    ((*POOL, "soak"), soak(pods=None), "give either pods, a pod template, or images.kindInDocker"),
    ((*POOL, "soak"), soak(pods={"spec": {}}), "pools.worker.soak.pods: is not a pod template"),
    ((*POOL, "soak"), soak(pods={"spec": {"containers": [{}], "nodeName": "a"}}), "pods: names a node (nodeName)"),
    ((*POOL, "soak"), soak(duration="3 days"), "soak.duration: '3 days' is not a duration"),
    ((*POOL, "soak"), soak(every="90s"), "soak.every: 90s is no whole number of minutes"),
    ((*POOL, "soak"), soak(every="7m"), "pools.worker.soak: every: 7m; write one of 1m, 2m"),
    ((*POOL, "soak"), soak(runs=500), "pools.worker.soak: runs: 500 cannot end within the duration"),
    ((*POOL, "soak"), soak(failureRate="a few"), 'soak.failureRate: "a few" is not a share'),
    ((*POOL, "soak"), soak(failureRate="100%"), "pools.worker.soak: failureRate: 1.0 is not a share from 0 to below 1"),
    ((*POOL, "soak"), soak(override={"version": "7.7.1908", "reason": "because"}), "soak.override.reason"),
    ((*POOL, "soak"), soak(override={"version": "7.7.1908"}), "soak.override.reason: missing"),
    (
        (*POOL, "soak"),
        soak(signatures=ANY_LINE),
        "pools.worker.soak.signatures: [0].patterns[0].pattern: '.*' matches the empty string",
    ),
    # adopted groups
    ((*POOL, "adopt"), {}, "pools.worker.adopt.autoScalingGroup: missing; write the name of the existing"),
    ((*POOL, "adopt"), {"autoScalingGroup": "g", "version": "7.6.1810"}, "is listed under versions too; rename one"),
]


def test_a_pool_may_not_be_called_as_nodes_without_one_are_filed() -> None:
    raw = edited()
    raw["pools"]["unmanaged"] = raw["pools"].pop("worker")
    (found,) = problems(raw)
    assert found.startswith('pools.unmanaged: "unmanaged" is what nodes without a pool are filed under')


@pytest.mark.parametrize(
    ("path", "value", "words"), TABLE, ids=[f"{row[0][-1]}-{index}" for index, row in enumerate(TABLE)]
)
def test_one_mistake_is_one_line_with_path_value_and_fix(path, value, words) -> None:
    found = problems(edited((path, value)))
    assert len(found) == 1, found
    assert words in found[0]


def test_a_soak_is_read_with_its_units() -> None:
    written = soak(duration="1h", every="5m", failureRate="2.5%", runs=12, timeout="90s", override=OVERRIDE)
    args = parse(edited(((*POOL, "soak"), written))).pools["worker"].soak.args()
    assert (args.duration, args.every, args.failure_rate, args.timeout) == (3600.0, 5, 0.025, 90.0)
    assert args.overrides == {"7.7.1908": "the rig itself is broken"}
    assert [one.name for one in args.sets] == ["kmem"]
