"""Rules about what a version says of itself, as tables. Previews know its properties, save what outputs fill."""

import pytest

from policies.rules.kernel import FLOOR, NOKMEM
from policies.rules.rule import UNKNOWN
from tests.policies.rule_case import judge, pool, verdict

ACCOUNTING, NEEDLESS = "nodepools-pool-nokmem", "nodepools-pool-nokmem-needless"
KERNEL, APPROVED = "nodepools-pool-kernel-floor", "nodepools-pool-image-approved"
LABELS, CONTROL = "nodepools-pool-labels", "nodepools-pool-control-plane"
IMAGE = "ami-0bbbbbbbbbbb77190"

GOOD = [
    (ACCOUNTING, {"kernelArguments": ["nosmt", NOKMEM]}),
    (ACCOUNTING, {"kernelArguments": NOKMEM}),
    (ACCOUNTING, {"osFamily": "al2023", "kernelArguments": []}),
    (ACCOUNTING, {"kernelArguments": [], "state": "standby"}),
    (ACCOUNTING, {"kernelArguments": [], "state": "retired"}),
    (NEEDLESS, {}),
    (NEEDLESS, {"osFamily": "ubuntu", "kernelArguments": ["cgroup.memory=nosocket"]}),
    (KERNEL, {"minimumKernelVersion": FLOOR}),
    (KERNEL, {"minimumKernelVersion": "3.10.0-1160.el7.x86_64"}),
    (KERNEL, {"kernelArguments": [], "minimumKernelVersion": ""}),
    (KERNEL, {"osFamily": "el8", "minimumKernelVersion": ""}),
    (APPROVED, {"imageId": "ami-00000000000000000"}),  # nothing is configured
    (LABELS, {"labels": {"example.com/pool": "a", "node.kubernetes.io/pool": "b", "topology.kubernetes.io/zone": "c"}}),
    (LABELS, {"labels": {"plain": "a", "notkubernetes.io/a": "b"}}),
    (CONTROL, {"taints": ["example.com/dedicated=batch:NoSchedule"]}),
]
BAD = [
    (ACCOUNTING, {"kernelArguments": []}, "runs EL7 without cgroup.memory=nokmem"),
    (ACCOUNTING, {"kernelArguments": None}, "runs EL7 without"),
    (ACCOUNTING, {"kernelArguments": [], "state": "canary"}, "runs EL7 without"),
    (ACCOUNTING, {"kernelArguments": ["cgroup.memory=nosocket,nokmem"]}, "runs EL7 without"),
    (ACCOUNTING, {"osFamily": "EL7", "kernelArguments": ["cgroup.memory=nosocket"]}, "runs EL7 without"),
    (NEEDLESS, {"osFamily": "el8"}, "on el8"),
    (NEEDLESS, {"osFamily": "ubuntu", "kernelArguments": ["cgroup.memory=nosocket,nokmem"]}, "on ubuntu"),
    (KERNEL, {"minimumKernelVersion": ""}, "no kernel.minimumVersion"),
    (KERNEL, {"minimumKernelVersion": "3.10.0-957"}, "3.10.0-957 is below 3.10.0-1062.4.1"),
    (KERNEL, {"minimumKernelVersion": "odd"}, "below"),
    (LABELS, {"labels": {"node-role.kubernetes.io/worker": ""}}, "kubelet may not give itself"),
    (LABELS, {"labels": {"pool.k8s.io/a": "b", "kubernetes.io/role": "c"}}, "kubernetes.io/role, pool.k8s.io/a"),
    (CONTROL, {"taints": ["node-role.kubernetes.io/control-plane:NoSchedule"]}, "makes it a control plane"),
    (CONTROL, {"labels": {"node-role.kubernetes.io/master": ""}}, "makes it a control plane"),
]
UNKNOWNS = [
    (ACCOUNTING, {"osFamily": UNKNOWN}),
    (ACCOUNTING, {"osFamily": None}),
    (ACCOUNTING, {"kernelArguments": UNKNOWN}),
    (ACCOUNTING, {"kernelArguments": [UNKNOWN]}),
    (KERNEL, {"minimumKernelVersion": UNKNOWN}),
    (LABELS, {"labels": UNKNOWN}),
    (LABELS, {"labels": {"a": UNKNOWN}}),
    (CONTROL, {"labels": UNKNOWN}),
    (CONTROL, {"taints": [UNKNOWN]}),
]


@pytest.mark.parametrize(("name", "props"), GOOD)
def test_good(name, props):
    assert judge(name, pool(**props)) == []


@pytest.mark.parametrize(("name", "props", "words"), BAD)
def test_bad(name, props, words):
    (finding,) = judge(name, pool(**props))
    assert finding.judged
    assert finding.message.startswith("version 7.7.1908 of pool worker: ")
    assert words in finding.message


@pytest.mark.parametrize(("name", "props"), UNKNOWNS)
def test_unknown_is_never_good(name, props):
    assert verdict(judge(name, pool(**props))) == "unknown"


def test_needless_leaves_what_is_unknown_to_the_rule_that_asks_for_it():
    for props in ({"osFamily": UNKNOWN}, {"kernelArguments": UNKNOWN}):
        assert judge(NEEDLESS, pool(**props)) == []
        assert verdict(judge(ACCOUNTING, pool(**props))) == "unknown"


def test_approved_images_are_those_that_are_listed():
    listed = {"images": [{"id": IMAGE, "owner": "self"}]}
    assert judge(APPROVED, pool(imageId=IMAGE), **listed) == []
    (finding,) = judge(APPROVED, pool(imageId="ami-00000000000000000"), **listed)
    assert "none of the 1 approved images" in finding.message
    assert verdict(judge(APPROVED, pool(imageId=UNKNOWN), **listed)) == "unknown"


def test_the_floor_can_be_raised():
    assert verdict(judge(KERNEL, pool(), floor="3.10.0-1160")) == "bad"
    assert judge(KERNEL, pool(minimumKernelVersion="3.10.0-1160.6.1"), floor="3.10.0-1160") == []
