"""The validator and the join, by running the rendered join script."""

import pytest

from .conftest import INSTANCE, NOKMEM, TOKEN, bootstrap, eks

REFUSED = "06-nodepools-refused.conf"
READABLE = "/proc/self/status"
EIO = "/proc/self/mem"


@pytest.fixture
def booted(machine):
    machine.cmdline += f" {NOKMEM}"
    return machine


def refused(machine, done) -> str:
    """The reason given on the console, after checking all that a refusal consists of."""
    assert done.returncode == 1
    assert machine.results == ["ABANDON"]
    assert machine.calls("kubeadm") == []
    assert machine.dropin(REFUSED).read_text() == "[Unit]\nConditionPathExists=!/\n"
    assert "stop kubelet.service" in machine.calls("systemctl")
    assert not (machine.root / "etc/sysconfig/kubelet").exists(), "no evidence without proof"
    (line,) = [one for one in done.stderr.splitlines() if "ABANDON:" in one]
    assert line in (machine.root / "dev/console").read_text()
    return line.partition("ABANDON: ")[2]


def test_a_validated_node_gets_its_evidence_joins_and_completes_the_hook(booted):
    done = booted.join(bootstrap(taints=("dedicated=ci:NoSchedule",), kubelet_arguments=("--max-pods=110",)))
    assert done.returncode == 0, done.stderr
    labels = "team=ci,nodepools.dev/pool=worker,nodepools.dev/version=7.7.1908,nodepools.dev/validated=worker-7.7.1908"
    first, _, rest = (booted.root / "etc/sysconfig/kubelet").read_text().partition(" ")
    assert first.startswith("KUBELET_EXTRA_ARGS=--node-labels=")
    assert sorted(first.removeprefix("KUBELET_EXTRA_ARGS=--node-labels=").split(",")) == sorted(labels.split(","))
    assert rest == "--register-with-taints=dedicated=ci:NoSchedule --max-pods=110\n"
    digest = "sha256:" + "a1" * 32
    assert booted.calls("kubeadm") == [
        f"join api.prod.example:6443 --token {TOKEN} --discovery-token-ca-cert-hash {digest}"
    ]
    assert booted.calls("aws")[-1] == (
        "autoscaling complete-lifecycle-action --region us-west-2 --auto-scaling-group-name prod-worker-7.7.1908 "
        f"--lifecycle-hook-name nodepools-validate --instance-id {INSTANCE} --lifecycle-action-result CONTINUE"
    )
    assert not booted.dropin(REFUSED).exists()


def test_the_token_is_read_from_the_parameter_and_never_printed(booted):
    done = booted.join(bootstrap())
    assert any("--name /prod/join-token --with-decryption" in call for call in booted.calls("aws"))
    assert TOKEN not in done.stderr + done.stdout + (booted.root / "dev/console").read_text()


def test_a_missing_argument_abandons_and_says_what_the_boothook_met(machine):
    (machine.fake / "grubby-fails").touch()
    machine.boothook(bootstrap())
    reason = refused_after_boothook(machine)
    assert reason.startswith(f"kernel argument {NOKMEM} is not in /proc/cmdline (grubby")


def refused_after_boothook(machine) -> str:
    return refused(machine, machine.join(bootstrap()))


@pytest.mark.parametrize(
    ("kernel", "floor", "accepted"),
    [
        ("3.10.0-1062.4.1.el7.x86_64", "3.10.0-1062.4.1", True),
        ("3.10.0-1062.4.1.el7.x86_64", "3.10.0-1062.4.1.el7.x86_64", True),
        ("3.10.0-1062.el7.x86_64", "3.10.0-1062.4.1", False),
        ("3.10.0-957.27.2.el7.x86_64", "3.10.0-1062.4.1", False),
        ("3.10.0-1160.119.1.el7.x86_64", "3.10.0-1062.4.1", True),
        ("3.10.0-1062.12.1.el7.x86_64", "3.10.0-1062.4.1", True),
        ("3.10.0-327.el7.x86_64", "3.10.0", True),
        ("5.4.278-1.el7.elrepo.x86_64", "3.10.0-1062.4.1", True),
        ("3.9.11-2000.el7.x86_64", "3.10.0-1062.4.1", False),
        ("3.10.0-1160.rt56.1131.el7.x86_64", "3.10.0-1062.4.1", False),
    ],
)
def test_kernels_are_compared_as_el_versions(machine, kernel, floor, accepted):
    machine.kernel = kernel
    done = machine.join(bootstrap(kernel_arguments=(), minimum_kernel=floor))
    if accepted:
        assert done.returncode == 0, done.stderr
        assert machine.results == ["CONTINUE"]
    else:
        reason = refused(machine, done)
        assert kernel in reason
        assert floor in reason


def test_accounting_that_is_off_passes_the_probe(booted):
    booted.cgroups(EIO)
    done = booted.join(bootstrap())
    assert done.returncode == 0, done.stderr
    assert "unverifiable" not in done.stderr
    assert not (booted.root / "sys/fs/cgroup/memory/nodepools-probe").exists()


def test_accounting_that_is_still_on_is_refused_although_the_argument_is_there(booted):
    booted.cgroups(READABLE)
    assert refused(booted, booted.join(bootstrap())) == (
        "kernel memory is still accounted: memory.kmem.slabinfo can be read"
    )


def test_without_a_v1_hierarchy_the_probe_says_so_and_goes_on(booted):
    done = booted.join(bootstrap())
    assert "unverifiable here: no cgroup v1 memory hierarchy" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        "[   12.345678] kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12",
        "[Tue Apr 28 12:49:09 2020] kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12",
        "[    9.1]   cache: kmalloc-64(2210:docker-ab.scope), object size: 64, buffer size: 64, default order: 0",
        "[    9.1]   cache: dentry(" + "ab" * 32 + "), object size: 192, buffer size: 192, default order: 0",
    ],
)
def test_a_definite_signature_since_boot_is_refused(booted, line):
    (booted.fake / "dmesg").write_text(f"[ 0.0] ok\n{line}\n")
    assert line in refused(booted, booted.join(bootstrap()))


@pytest.mark.parametrize(
    "line",
    [
        "[ 9.1] grep: kmem_cache_create(nf_conntrack_1) failed with error -12",
        "[ 9.1]   cache: kmalloc-64, object size: 64, buffer size: 64, default order: 0",
        "[ 9.1] SLUB: Unable to allocate memory on node -1 (gfp=0x8020)",
    ],
)
def test_other_lines_are_not_taken_for_the_leak(booted, line):
    (booted.fake / "dmesg").write_text(line + "\n")
    assert booted.join(bootstrap()).returncode == 0


def test_kmem_is_not_probed_where_the_argument_is_not_required(machine):
    machine.cgroups(READABLE)
    assert machine.join(bootstrap(kernel_arguments=())).returncode == 0
    assert machine.calls("dmesg") == []


def test_a_failed_join_abandons(booted):
    (booted.fake / "kubeadm-fails").touch()
    done = booted.join(bootstrap())
    assert booted.results == ["ABANDON"]
    assert "kubeadm join api.prod.example:6443 failed with status 1" in done.stderr
    assert booted.dropin(REFUSED).exists()


def test_a_parameter_without_a_token_abandons_without_showing_it(booted):
    (booted.fake / "token").write_text("hunter2\n")
    done = booted.join(bootstrap())
    assert booted.results == ["ABANDON"]
    assert booted.calls("kubeadm") == []
    assert "hunter2" not in done.stderr


def test_calls_that_fail_for_a_moment_are_tried_again(booted):
    (booted.fake / "aws-fails").write_text("1\n2\n3\n")
    done = booted.join(bootstrap())
    assert done.returncode == 0, done.stderr
    assert booted.results == ["CONTINUE"]


def test_a_token_that_cannot_be_read_abandons(booted):
    (booted.fake / "aws-fails").write_text("1\n2\n3\n4\n")
    done = booted.join(bootstrap())
    assert "cannot read the join token: SSM parameter /prod/join-token" in done.stderr
    assert booted.results == ["ABANDON"]
    assert booted.dropin(REFUSED).exists()


def test_an_eks_node_is_bootstrapped_with_the_same_kubelet_arguments(booted):
    script = booted.root / "etc/eks/bootstrap.sh"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$FAKE/eks"\n')
    script.chmod(0o755)
    done = booted.join(eks(taints=("a:NoExecute",)))
    assert done.returncode == 0, done.stderr
    words = (booted.fake / "eks").read_text().splitlines()
    assert words[:5] == ["prod", "--apiserver-endpoint", "https://api.prod.example:6443", "--b64-cluster-ca", "Q0E="]
    assert words[5] == "--kubelet-extra-args"
    assert "nodepools.dev/validated=worker-7.7.1908 --register-with-taints=a:NoExecute" in words[6]
    assert booted.results == ["CONTINUE"]


def test_settings_of_the_image_stay_and_labels_of_a_former_node_go(booted):
    file = booted.root / "etc/sysconfig/kubelet"
    file.parent.mkdir()
    file.write_text('OTHER=1\nKUBELET_EXTRA_ARGS="--cgroup-driver=systemd --node-labels=nodepools.dev/validated=x"\n')
    booted.join(bootstrap(labels={}))
    lines = file.read_text().splitlines()
    assert lines[0] == "OTHER=1"
    assert lines[1].startswith("KUBELET_EXTRA_ARGS=--cgroup-driver=systemd --node-labels=nodepools.dev/pool=worker,")
    assert "validated=x" not in lines[1]


def test_a_group_that_is_given_is_not_asked_for(booted):
    booted.join(bootstrap(group="prod-worker-7.7.1908-us-west-2a"))
    assert not any("describe" in call for call in booted.calls("aws"))
    assert "--auto-scaling-group-name prod-worker-7.7.1908-us-west-2a" in booted.calls("aws")[-1]
