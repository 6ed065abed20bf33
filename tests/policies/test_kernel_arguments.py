"""Required kernel arguments are gated, in the boothook or by the system's own means: without them no node joins."""

import base64
import gzip
import json

import pytest

from policies.rules import kernel_arguments
from policies.rules.kernel import NOKMEM
from policies.rules.kernel_arguments import check, gates
from policies.rules.rule import UNKNOWN, Resource
from policies.rules.subjects import POOL, TEMPLATE

POOL_URN = f"urn:pulumi:prod::nodes::nodepools:aws:BlueGreenNodePool${POOL}::worker-7.7.1908"
TEMPLATE_URN = f"urn:pulumi:prod::nodes::nodepools:aws:BlueGreenNodePool${POOL}${TEMPLATE}::worker-7.7.1908-template"

LITERAL = f"""#cloud-boothook
#!/bin/sh
mkdir -p /etc/systemd/system/kubelet.service.d
cat >/etc/systemd/system/kubelet.service.d/05-gate.conf <<END
[Unit]
ConditionKernelCommandLine={NOKMEM}
END
"""
LOOPED = f"""#cloud-boothook
#!/bin/sh
ARGUMENTS='{NOKMEM} nosmt'
for argument in $ARGUMENTS; do
  printf '[Unit]\\nConditionKernelCommandLine=%s\\n' "$argument" >/etc/systemd/system/kubelet.service.d/05-gate.conf
done
"""


def mime(boothook: str, kind: str = "text/cloud-boothook") -> str:
    lines = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="B"', "", "--B"]
    text = "\n".join([*lines, f'Content-Type: {kind}; charset="us-ascii"', "", boothook, "--B--", ""])
    return base64.b64encode(text.encode()).decode()


def pool(**props) -> Resource:
    known = {"pool": "worker", "version": "7.7.1908", "osFamily": "el7", "kernelArguments": [NOKMEM]}
    return Resource(POOL, POOL_URN, "worker-7.7.1908", known | props)


def template(user_data: object, **props) -> Resource:
    return Resource(TEMPLATE, TEMPLATE_URN, "worker-7.7.1908-template", {"userData": user_data} | props, POOL_URN)


def judge(resource: Resource, *others: Resource, **config):
    return list(check(resource, {other.urn: other for other in others}, config))


@pytest.mark.parametrize("script", [LITERAL, LOOPED])
@pytest.mark.parametrize("pack", [lambda text: text, lambda text: text.replace("\n", "\r\n")])
def test_a_gated_template_passes(script, pack):
    assert judge(template(mime(pack(script))), pool()) == []


def test_a_single_compressed_boothook_passes():
    data = base64.b64encode(gzip.compress(LITERAL.encode())).decode()
    assert judge(template(data), pool()) == []


def test_each_required_argument_needs_its_own_gate():
    (finding,) = judge(template(mime(LITERAL)), pool(kernelArguments=[NOKMEM, "nosmt"]))
    assert "requires nosmt" in finding.message
    assert finding.urn == TEMPLATE_URN
    assert judge(template(mime(LOOPED)), pool(kernelArguments=[NOKMEM, "nosmt"])) == []


def test_a_gate_outside_the_boothook_is_too_late():
    (finding,) = judge(template(mime(LITERAL.replace("#cloud-boothook\n", ""), "text/x-shellscript")), pool())
    assert "has no text/cloud-boothook part" in finding.message


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("ConditionKernelCommandLine=!cgroup", "ConditionKernelCommandLine=cgroup"),
        ("ConditionKernelComandLine=", "ConditionKernelCommandLine="),
        ("# ConditionKernelCommandLine=", "ConditionKernelCommandLine="),
        ("=cgroup.memory=nosocket,nokmem", "=cgroup.memory=nokmem"),
        ("=cgroup.memory=nokmem2", "=cgroup.memory=nokmem"),
        ("=xcgroup.memory=nokmem", "=cgroup.memory=nokmem"),
        ("docker.service", "kubelet.service"),
    ],
)
def test_a_gate_that_systemd_would_not_apply_does_not_count(bad, good):
    assert gates(LITERAL, NOKMEM)
    assert not gates(LITERAL.replace(good, bad), NOKMEM)


def test_a_variable_counts_only_if_the_argument_is_a_word_of_the_script():
    assert gates(LOOPED, "nosmt")
    assert not gates(LOOPED, "smt")
    assert not gates(LOOPED.replace(NOKMEM, NOKMEM + ",nosocket"), NOKMEM)


def test_unknown_user_data_cannot_be_judged_but_is_never_passed():
    (finding,) = judge(template(UNKNOWN), pool())
    assert not finding.judged
    assert NOKMEM in finding.message


@pytest.mark.parametrize("data", [None, "", "not base64!", 12, True, {"text": "x"}])
def test_user_data_that_cannot_be_read_is_refused_not_crashed_on(data):
    (finding,) = judge(template(data), pool())
    assert finding.judged
    assert "cannot be read" in finding.message


def test_messages_never_quote_user_data():
    secret = base64.b64encode(b"#!/bin/sh\nTOKEN=abcdef.0123456789abcdef\n").decode()
    (finding,) = judge(template(secret), pool())
    assert "abcdef" not in finding.message
    assert secret not in finding.message


def test_a_pool_template_whose_component_was_not_seen_cannot_be_judged():
    (finding,) = judge(template(mime(LITERAL)))
    assert not finding.judged


def test_a_template_of_no_pool_is_judged_by_its_tag_only():
    urn = f"urn:pulumi:prod::nodes::{TEMPLATE}::own"
    tagged = {"tags": {kernel_arguments.ARGUMENTS_TAG: f"{NOKMEM} nosmt"}}
    own = Resource(TEMPLATE, urn, "own", {"userData": mime(LITERAL)})
    assert judge(own) == []
    (finding,) = judge(Resource(TEMPLATE, urn, "own", {**own.props, **tagged}))
    assert "requires nosmt" in finding.message
    (finding,) = judge(Resource(TEMPLATE, urn, "own", {**own.props, "tags": UNKNOWN}))
    assert not finding.judged


def test_a_pool_without_required_arguments_may_have_any_user_data():
    assert judge(template(UNKNOWN), pool(osFamily="al2023", kernelArguments=[])) == []


BOTTLEROCKET = """
[settings.boot]
reboot-to-reconcile = true

[settings.boot.kernel-parameters]
"cgroup.memory" = ["nosocket", "nokmem"]
nosmt = []
"""
IGNITION = {
    "ignition": {"version": "3.3.0"},
    "kernelArguments": {"shouldExist": [NOKMEM]},
    "systemd": {
        "units": [
            {
                "name": "kubelet.service",
                "dropins": [{"name": "gate.conf", "contents": f"[Unit]\nConditionKernelCommandLine={NOKMEM}\n"}],
            }
        ]
    },
}


def document(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_bottlerocket_gates_by_reconciling_its_kernel_parameters():
    wanted = pool(osFamily="bottlerocket", kernelArguments=[NOKMEM, "nosmt"])
    assert judge(template(document(BOTTLEROCKET)), wanted) == []
    for text in (BOTTLEROCKET.replace("true", "false"), BOTTLEROCKET.replace("nokmem", "other")):
        (finding,) = judge(template(document(text)), wanted)
        assert NOKMEM in finding.message
        assert finding.judged


@pytest.mark.parametrize(("good", "bad"), [("shouldExist", "shouldNotExist"), ("kubelet.service", "docker.service")])
def test_ignition_needs_the_argument_and_the_gate(good, bad):
    text = json.dumps(IGNITION)
    assert judge(template(document(text)), pool(osFamily="flatcar")) == []
    (finding,) = judge(template(document(text.replace(good, bad))), pool(osFamily="flatcar"))
    assert NOKMEM in finding.message


@pytest.mark.parametrize("text", ['{"ignition": {}, "kernelArguments": 3, "systemd": []}', "[settings]\nboot = 1"])
def test_odd_documents_are_refused_not_crashed_on(text):
    (finding,) = judge(template(document(text)), pool())
    assert finding.judged
