"""The pack against the user data that the library really renders. Only this test knows both: the pack stands alone."""

import base64
import gzip

import pytest

from policies.rules.kernel import NOKMEM
from policies.rules.kernel_arguments import JOIN_UNITS, KUBELET, check
from policies.rules.rule import Finding, Resource
from policies.rules.subjects import POOL, TEMPLATE
from pulumi_nodepools.bootstrap import FAMILIES, Bootstrap, EksJoin, KubeadmJoin, render

POOL_URN = f"urn:pulumi:prod::nodes::{POOL}::worker-7.7.1908"
KUBEADM = KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "a" * 64,))
GATE = "ConditionKernelCommandLine="


def rendered(*arguments: str, join: KubeadmJoin | EksJoin = KUBEADM, family: str = "el7") -> str:
    bootstrap = Bootstrap(
        cluster="prod",
        endpoint="https://api.prod.example.com:6443",
        certificate_authority="QUJD",
        join=join,
        region="us-west-2",
        pool="worker",
        version="7.7.1908",
        group="prod-worker-7.7.1908",
        kernel_arguments=arguments,
    )
    return render(family, bootstrap)


def judge(text: str, *required: str, pack=lambda data: data, family: str = "el7") -> list[Finding]:
    props = {"pool": "worker", "version": "7.7.1908", "osFamily": family, "kernelArguments": list(required)}
    pool = Resource(POOL, POOL_URN, "worker-7.7.1908", props)
    data = base64.b64encode(pack(text.encode())).decode()
    template = Resource(TEMPLATE, POOL_URN + "-template", "worker-7.7.1908-template", {"userData": data}, POOL_URN)
    return list(check(template, {POOL_URN: pool}, {}))


@pytest.mark.parametrize("join", [KUBEADM, EksJoin()])
@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_what_the_library_renders_passes(join, pack):
    text = rendered(NOKMEM, "user_namespace.enable=1", join=join)
    assert judge(text, NOKMEM, "user_namespace.enable=1", pack=pack) == []


@pytest.mark.parametrize("family", [name for name, one in FAMILIES.items() if one.document == "mime"])
def test_every_family_gates_all_that_joins(family):
    text = rendered("nosmt", join=EksJoin("10.100.0.0/16"), family=family)
    assert judge(text, "nosmt", family=family) == []
    for unit in FAMILIES[family].join_units:
        (finding,) = judge(text.replace(unit, "other.service"), "nosmt", family=family)
        assert f"drop-in of {unit} with" in finding.message


def test_the_pack_knows_the_units_of_every_family():
    known = {name: JOIN_UNITS.get(name, KUBELET) for name in FAMILIES}
    assert known == {name: family.join_units for name, family in FAMILIES.items()}


def test_an_argument_that_was_not_rendered_is_missed():
    (finding,) = judge(rendered(NOKMEM), NOKMEM, "nosmt")
    assert "requires nosmt" in finding.message


def test_user_data_without_arguments_has_no_gate():
    (finding,) = judge(rendered(), NOKMEM)
    assert "no text/cloud-boothook part" in finding.message


@pytest.mark.parametrize(
    ("good", "bad"),
    [(GATE, "ConditionKernelComandLine="), (GATE, GATE + "!"), ("kubelet.service.d", "docker.service.d")],
)
def test_damage_to_the_rendered_gate_is_found(good, bad):
    text = rendered(NOKMEM)
    assert judge(text, NOKMEM) == []
    assert judge(text.replace(good, bad), NOKMEM) != []


@pytest.mark.parametrize(
    ("family", "join", "good", "bad"),
    [
        ("flatcar", KUBEADM, GATE, "ConditionKernelComandLine="),
        ("flatcar", KUBEADM, "shouldExist", "shouldNotExist"),
        ("flatcar", KUBEADM, '"kubelet.service"', '"docker.service"'),
        ("bottlerocket", EksJoin(), "reboot-to-reconcile = true", "reboot-to-reconcile = false"),
        ("bottlerocket", EksJoin(), "kernel-parameters", "init-parameters"),
    ],
)
def test_documents_of_other_families_pass_and_damage_to_them_is_found(family, join, good, bad):
    text = rendered("nosmt", "mitigations=auto", join=join, family=family)
    assert judge(text, "nosmt", "mitigations=auto", family=family) == []
    assert judge(text.replace(good, bad), "nosmt", family=family) != []
