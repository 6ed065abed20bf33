"""What is rendered: the same bytes for the same values, nothing that a value could break out of, within the limit."""

import gzip
import json
import os
import re
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools.bootstrap import FAMILIES, EksJoin, KubeadmJoin, UserPart, render, warnings
from pulumi_nodepools.bootstrap.check import host_and_port
from pulumi_nodepools.errors import ConfigError

from .conftest import CLOUD_INIT, NOKMEM, bootstrap, eks, parts

GOLDEN = Path(__file__).parent / "golden"
MORE = {"kernel_arguments": ("nosmt", "transparent_hugepage=never"), "kubelet_arguments": ("--max-pods=58",)}
NODEADM = {"join": EksJoin("10.100.0.0/16"), "certificate_authority": "Q0E=", "taints": ("dedicated=ci:NoSchedule",)}
CASES = {
    "el7-kubeadm-nokmem": bootstrap(taints=("dedicated=ci:NoSchedule",)),
    "el7-eks-two-arguments": eks(kernel_arguments=(NOKMEM, "nosmt"), kubelet_arguments=("--max-pods=58",)),
    "el7-no-arguments": bootstrap(version="7.6.1810", kernel_arguments=(), minimum_kernel=None),
    "al2-eks": eks(minimum_kernel="5.10.230-223.885.amzn2", **MORE),
    "el8-kubeadm": bootstrap(minimum_kernel="4.18.0-553", **MORE),
    "el9-eks": eks(minimum_kernel="5.14.0-503.11.1.el9_5", **MORE),
    "el10-kubeadm": bootstrap(minimum_kernel="6.12.0-55", **MORE),
    "al2023-nodeadm": bootstrap(minimum_kernel="6.1.115-126.197.amzn2023", **NODEADM, **MORE),
    "al2023-kubeadm": bootstrap(minimum_kernel="6.1.115-126.197", **MORE),
    "el9-own-parts": bootstrap(
        minimum_kernel="5.14.0",
        user_parts=(
            UserPart("cloud-config", "ntp", "#cloud-config\nntp:\n  servers: [ntp.example.com]\n"),
            UserPart("shell-script", "mounts", "#!/bin/sh\nset -eu\nmkdir -p /mnt/scratch\n"),
            UserPart("boothook", "sysctl", "#!/bin/sh\nsysctl -w vm.max_map_count=262144\n"),
        ),
    ),
    "ubuntu-eks": eks(minimum_kernel="6.8.0-1021", **MORE),
    "flatcar-kubeadm": bootstrap(minimum_kernel="6.6.0", taints=("dedicated=ci:NoSchedule",), **MORE),
    "bottlerocket-eks": eks(
        minimum_kernel=None,
        taints=("dedicated=ci:NoSchedule", "dedicated:NoExecute"),
        kernel_arguments=("cgroup.memory=nosocket", NOKMEM, "nosmt", "console=tty0"),
        user_parts=(UserPart("settings", "ntp", '[settings.ntp]\ntime-servers = ["ntp.example.com"]\n'),),
    ),
    "ubuntu-kubeadm-nokmem": bootstrap(minimum_kernel="5.15.0"),
}
SUFFIXES = {"mime": "mime", "ignition": "json", "settings": "toml"}
HOSTILE = ["a'b", 'a"b', "a b", "a\nb", "$(reboot)", "`reboot`", "a;b", "a\\b", "\x00", "é", "a|b", "!a", "%H", "--x y"]


def family(name: str) -> str:
    return name.partition("-")[0]


def test_every_family_has_a_golden_file():
    assert {family(name) for name in CASES} == set(FAMILIES)


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    """UPDATE_GOLDEN=1 rewrites the files; raise REVISION when you do."""
    text = unpacked(render(family(name), CASES[name]))
    file = GOLDEN / f"{name}.{SUFFIXES[FAMILIES[family(name)].document]}"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def unpacked(text: str) -> str:
    """With what is compressed in it as plain text: its bytes may change with the release of zlib."""
    return re.sub(
        r'"data:;base64,([^"]+)"', lambda found: json.dumps(gzip.decompress(b64decode(found[1])).decode()), text
    )


def test_the_order_of_labels_does_not_matter():
    one = render("el7", bootstrap(labels={"a": "1", "b": "2"}))
    assert one == render("el7", bootstrap(labels={"b": "2", "a": "1"}))


def test_parts_are_a_boothook_and_a_script_that_cloud_init_recognises():
    made = parts(render("el7", bootstrap()))
    assert list(made) == ["text/cloud-boothook", "text/x-shellscript"]
    assert made["text/cloud-boothook"].startswith("#cloud-boothook\n#!/bin/sh\n")
    assert made["text/x-shellscript"].startswith("#!/bin/sh\n")


def test_without_arguments_there_is_neither_gate_nor_reboot():
    made = parts(render("el7", bootstrap(kernel_arguments=())))
    assert list(made) == ["text/x-shellscript"]
    assert "reboot" not in made["text/x-shellscript"].replace("one reboot", "")


def test_other_families_are_refused():
    with pytest.raises(ConfigError, match="osFamily 'el6' is not known; use one of el7, al2, el8, el9, el10, al2023"):
        render("el6", bootstrap())


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "field",
    ["cluster", "region", "pool", "version", "endpoint", "certificate_authority", "minimum_kernel"],
)
def test_hostile_text_is_refused(field, value):
    with pytest.raises(ConfigError):
        render("el7", bootstrap(**{field: value}))


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_words_in_lists_are_refused(value):
    made = [
        bootstrap(labels={value: "x"}),
        bootstrap(labels={"x": value}),
        bootstrap(taints=(value,)),
        bootstrap(kernel_arguments=(value,)),
        bootstrap(kubelet_arguments=(value,)),
        bootstrap(join=KubeadmJoin(value, ("sha256:" + "a" * 64,))),
        bootstrap(join=KubeadmJoin("/t", (value,))),
    ]
    for one in made:
        with pytest.raises(ConfigError):
            render("el7", one)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"node-role.kubernetes.io/worker": ""}}, "NodeRestriction"),
        ({"labels": {"node-restriction.kubernetes.io/x": "y"}}, "NodeRestriction"),
        ({"labels": {"nodepools.dev/validated": "worker-7.7.1908"}}, "set by this library alone"),
        ({"labels": {"nodepools.dev/version": "other"}}, "set by this library alone"),
        ({"kubelet_arguments": ("--node-labels=a=b",)}, "use labels"),
        ({"kubelet_arguments": ("--register-with-taints=a=b:NoExecute",)}, "use taints"),
        ({"kernel_arguments": (NOKMEM, NOKMEM)}, "listed 2 times"),
        (
            {"kernel_arguments": ("mitigations=off", "mitigations=auto")},
            "mitigations=off and mitigations=auto: the kernel",
        ),
        (
            {"kernel_arguments": ("cgroup.memory=nosocket,nokmem",)},
            "list cgroup.memory=nosocket and cgroup.memory=nokmem",
        ),
        ({"join": EksJoin("10.100.0.0/33"), "certificate_authority": "Q0E="}, "is not a network such as 10.100.0.0/16"),
        ({"join": KubeadmJoin("/t", ())}, "at least one"),
        ({"pool": "p" * 40, "version": "v" * 40}, "has 81 characters, a label holds 63"),
        ({"endpoint": "http://api"}, "must look like https"),
        ({"endpoint": "https://user@api"}, "must look like https"),
        ({"taints": ("a=b:Never",)}, "NoSchedule, PreferNoSchedule or NoExecute"),
        ({"minimum_kernel": "new"}, "not a version such as"),
    ],
)
def test_refusals_say_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        render("el7", bootstrap(**changes))


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "abcdef.0123456789abcdef"])
@pytest.mark.parametrize(
    "changes",
    [
        lambda secret: {"kubelet_arguments": (f"--token={secret}",)},
        lambda secret: {"kernel_arguments": (f"key={secret}",)},
        lambda secret: {"labels": {"a": secret}},
        lambda secret: {"taints": (f"a={secret}:NoSchedule",)},
    ],
)
def test_secrets_are_refused_and_not_repeated(secret, changes):
    with pytest.raises(
        ConfigError, match=r"holds an? (AWS access key|kubeadm join token); user data is no secret"
    ) as caught:
        render("el7", bootstrap(**changes(secret)))
    assert secret not in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        render("el7", bootstrap(region="x y", taints=("z",), kernel_arguments=("a b",)))
    assert all(word in str(caught.value) for word in ("region", "taints", "kernel.arguments"))


def test_labels_that_a_kubelet_may_set_are_taken():
    labels = {"node.kubernetes.io/role": "ci", "topology.kubernetes.io/zone": "a", "team.example/x": "y"}
    assert render("el7", bootstrap(labels=labels))


@pytest.mark.parametrize(
    ("endpoint", "server"),
    [("https://a.b:6443", "a.b:6443"), ("https://a.b/", "a.b:443"), ("https://[::1]:6443", "[::1]:6443")],
)
def test_endpoints(endpoint, server):
    assert host_and_port(endpoint) == server


# Letters that pass beside all that shells, systemd, MIME and GRUB treat as special, so that many examples get through.
TEXT = st.text(alphabet="abcz019-._=:/,@+'\"\n\t $`\\!%|&;<>(){}[]#~*?\u0663\u00e9", max_size=14) | st.text(
    "a0-=.", max_size=6
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(CLOUD_INIT)),
    st.fixed_dictionaries(
        {},
        optional={
            "cluster": TEXT,
            "group": TEXT,
            "labels": st.dictionaries(TEXT, TEXT, max_size=3),
            "taints": st.tuples(TEXT),
            "kernel_arguments": st.tuples(TEXT),
            "kubelet_arguments": st.tuples(TEXT.map("--x={}".format)),
        },
    ),
)
def test_any_text_is_refused_or_stays_inside_its_quotes(os_family, changes):
    """What the shell reads back is what was put in, and the fixed text follows untouched."""
    made = bootstrap(**changes)
    try:
        text = render(os_family, made)
    except ConfigError:
        return
    script = parts(text)["text/x-shellscript"]
    head, marker, _ = script.partition('root="${NODEPOOLS_ROOT:-}"')
    assert marker
    show = head + 'printf "%s\\0" "$group" "$labels" "$more_arguments" "$@"'
    done = subprocess.run(["/bin/sh", "-c", show], capture_output=True, check=False, text=True, timeout=10)
    group, labels, more, *arguments = done.stdout.split("\0")[:-1]
    assert group == made.group
    assert set(labels.split(",")) >= {f"{key}={value}" for key, value in made.labels.items()}
    assert more.split() == [*(f"--register-with-taints={taint}" for taint in made.taints), *made.kubelet_arguments]
    assert arguments == list(made.kernel_arguments)


@pytest.mark.parametrize("os_family", CLOUD_INIT)
def test_families_agree_on_all_but_their_own_text(os_family):
    """A family fills every blank of the shared text, fits, and gates each unit that it names."""
    text = render(os_family, bootstrap(join=EksJoin("10.100.0.0/16"), certificate_authority="Q0E="))
    assert not re.search(r"@[A-Z_]+@", text)
    assert all(unit in parts(text)["text/cloud-boothook"] for unit in FAMILIES[os_family].join_units)
    assert all(unit in parts(text)["text/x-shellscript"] for unit in FAMILIES[os_family].join_units)


def test_nodeadm_gets_its_part_without_the_evidence():
    import yaml

    made = parts(render("al2023", bootstrap(**NODEADM)))
    assert list(made) == ["text/cloud-boothook", "application/node.eks.aws", "text/x-shellscript"]
    config = yaml.safe_load(made["application/node.eks.aws"])
    assert config["spec"] == {
        "cluster": {
            "name": "prod",
            "apiServerEndpoint": "https://api.prod.example:6443",
            "certificateAuthority": "Q0E=",
            "cidr": "10.100.0.0/16",
        }
    }


def test_nodeadm_needs_the_service_network():
    with pytest.raises(ConfigError, match="Amazon Linux 2023 joins by nodeadm, which needs it"):
        render("al2023", eks())


@pytest.mark.parametrize(
    ("os_family", "changes", "words"),
    [
        ("el7", {}, None),
        ("el7", {"minimum_kernel": None}, "Set kernel.minimumVersion"),
        ("el9", {}, "cgroup.memory=nokmem on RHEL/Rocky 9: its kernels do not have the leak"),
        ("al2", {}, "Leave it out"),
        ("ubuntu", {"kernel_arguments": ("nosmt",)}, None),
        ("ubuntu", {"kernel_arguments": ("foo.bar=1", "foo.bar=2")}, "foo.bar=1 and foo.bar=2: most"),
        ("el7", {"kernel_arguments": ("cgroup.memory=nosocket", NOKMEM, "console=tty0", "console=ttyS0")}, None),
    ],
)
def test_a_pointless_argument_is_warned_of(os_family, changes, words):
    told = warnings(os_family, bootstrap(**changes))
    assert [words in one for one in told] == [True] if words else told == ()
