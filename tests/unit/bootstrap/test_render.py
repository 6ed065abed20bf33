"""What is rendered: the same bytes for the same values, nothing that a value could break out of, within the limit."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools.bootstrap import MAX_BYTES, KubeadmJoin, render
from pulumi_nodepools.bootstrap.check import host_and_port
from pulumi_nodepools.errors import ConfigError

from .conftest import NOKMEM, bootstrap, eks, parts

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "el7-kubeadm-nokmem": bootstrap(taints=("dedicated=ci:NoSchedule",)),
    "el7-eks-two-arguments": eks(kernel_arguments=(NOKMEM, "nosmt"), kubelet_arguments=("--max-pods=58",)),
    "el7-no-arguments": bootstrap(version="7.6.1810", kernel_arguments=(), minimum_kernel=None),
}
HOSTILE = ["a'b", 'a"b', "a b", "a\nb", "$(reboot)", "`reboot`", "a;b", "a\\b", "\x00", "é", "a|b", "!a", "%H", "--x y"]


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    """UPDATE_GOLDEN=1 rewrites the files; raise REVISION when you do."""
    text = render("el7", CASES[name])
    file = GOLDEN / f"{name}.mime"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", CASES)
def test_shellcheck_finds_nothing(name, tmp_path):
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    for number, script in enumerate(parts(render("el7", CASES[name])).values()):
        file = tmp_path / f"{number}.sh"
        file.write_text(script.removeprefix("#cloud-boothook\n"))
        done = subprocess.run([shellcheck, "-s", "sh", file], capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stdout


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
    with pytest.raises(ConfigError, match="osFamily 'al2023' is not supported yet: el7"):
        render("al2023", bootstrap())


def test_too_large_names_the_numbers():
    many = {f"label-{number}": "x" * 60 for number in range(120)}
    with pytest.raises(ConfigError, match=rf"has \d+ bytes, \d+ more than the {MAX_BYTES}.*labels \(120\)"):
        render("el7", bootstrap(labels=many))


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
    )
)
def test_any_text_is_refused_or_stays_inside_its_quotes(changes):
    """What the shell reads back is what was put in, and the fixed text follows untouched."""
    made = bootstrap(**changes)
    try:
        text = render("el7", made)
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
