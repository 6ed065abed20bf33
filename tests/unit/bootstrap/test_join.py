"""The validator and the join, by running the rendered join script."""

import pytest

from pulumi_nodepools.bootstrap import KubeadmJoin
from tests.node_cloud import INSTANCE, JOIN_TOKEN

from .conftest import NOKMEM, bootstrap, eks

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
    assert machine.cloud.hook_results == ["ABANDON"]
    assert machine.calls("kubeadm") == []
    assert machine.dropin(REFUSED).read_text() == "[Unit]\nConditionPathExists=!/\n"
    assert "stop kubelet.service" in machine.calls("systemctl")
    assert not (machine.root / "etc/sysconfig/kubelet").exists(), "no evidence without proof"
    (line,) = [one for one in done.stderr.splitlines() if "ABANDON:" in one]
    assert line in (machine.root / "dev/console").read_text()
    assert machine.cloud.refusals == [line.partition("ABANDON: ")[2]]
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
        f"join api.prod.example:6443 --token {JOIN_TOKEN} --discovery-token-ca-cert-hash {digest}"
    ]
    (completed,) = booted.cloud.called("CompleteLifecycleAction")
    assert (completed.service, completed.region) == ("autoscaling", "us-west-2")
    assert completed.parameters == {
        "Action": "CompleteLifecycleAction",
        "Version": "2011-01-01",
        "AutoScalingGroupName": "prod-worker-7.7.1908",
        "LifecycleHookName": "nodepools-validate",
        "InstanceId": INSTANCE,
        "LifecycleActionResult": "CONTINUE",
    }
    assert booted.cloud.refusals == []
    assert not booted.dropin(REFUSED).exists()


def test_the_token_is_read_from_the_parameter_and_never_printed(booted):
    done = booted.join(bootstrap())
    (asked,) = booted.cloud.called("GetParameter")
    assert asked.parameters == {"Name": "/prod/join-token", "WithDecryption": True}
    assert JOIN_TOKEN not in done.stderr + done.stdout + (booted.root / "dev/console").read_text()


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
        assert machine.cloud.hook_results == ["CONTINUE"]
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
    assert booted.cloud.hook_results == ["ABANDON"]
    assert "kubeadm join api.prod.example:6443 failed with status 1" in done.stderr
    assert booted.dropin(REFUSED).exists()


def test_a_parameter_without_a_token_abandons_without_showing_it(booted):
    booted.cloud.join_token = "hunter2"
    done = booted.join(bootstrap())
    assert booted.cloud.hook_results == ["ABANDON"]
    assert booted.calls("kubeadm") == []
    assert "hunter2" not in done.stderr


def test_calls_that_fail_for_a_moment_are_tried_again(booted):
    booted.cloud.failures = 3
    done = booted.join(bootstrap())
    assert done.returncode == 0, done.stderr
    assert booted.cloud.hook_results == ["CONTINUE"]


def test_a_token_that_cannot_be_read_abandons(booted):
    booted.cloud.failures = 4
    done = booted.join(bootstrap())
    assert "cannot read the join token: SSM parameter /prod/join-token" in done.stderr
    assert booted.cloud.hook_results == ["ABANDON"]
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
    assert booted.cloud.hook_results == ["CONTINUE"]


def test_settings_of_the_image_stay_and_labels_of_a_former_node_go(booted):
    file = booted.root / "etc/sysconfig/kubelet"
    file.parent.mkdir()
    file.write_text('OTHER=1\nKUBELET_EXTRA_ARGS="--cgroup-driver=systemd --node-labels=nodepools.dev/validated=x"\n')
    booted.join(bootstrap(labels={}))
    lines = file.read_text().splitlines()
    assert lines[0] == "OTHER=1"
    assert lines[1].startswith("KUBELET_EXTRA_ARGS=--cgroup-driver=systemd --node-labels=nodepools.dev/pool=worker,")
    assert "validated=x" not in lines[1]


def test_a_token_may_be_kept_in_secrets_manager(booted):
    join = KubeadmJoin(token_secret="prod/join", ca_cert_hashes=("sha256:" + "a1" * 32,))
    done = booted.join(bootstrap(join=join))
    assert done.returncode == 0, done.stderr
    (asked,) = booted.cloud.called("GetSecretValue")
    assert (asked.service, asked.parameters) == ("secretsmanager", {"SecretId": "prod/join"})
    assert JOIN_TOKEN in booted.calls("kubeadm")[0]
    assert JOIN_TOKEN not in done.stderr + done.stdout


def test_the_reason_of_a_refusal_is_left_as_a_tag_of_the_instance(booted):
    (booted.fake / "dmesg").write_text("[1.0] kmem_cache_create(x\u00e9" + "y" * 300 + ") failed with error -12\n")
    booted.join(bootstrap())
    (tagged,) = booted.cloud.called("CreateTags")
    assert tagged.parameters["ResourceId.1"] == INSTANCE
    assert tagged.parameters["Tag.1.Key"] == "nodepools.dev/refused"
    reason = tagged.parameters["Tag.1.Value"]
    assert reason.startswith("the kernel reports the kmem leak since this boot: [1.0] kmem_cache_create(xyyy")
    assert len(reason) == 255, "what a tag takes"


def test_a_node_without_the_right_to_tag_itself_still_abandons(booted):
    booted.cloud.denied = {"CreateTags"}
    done = booted.join(bootstrap(kernel_arguments=("nosmt",)))
    assert booted.cloud.hook_results == ["ABANDON"]
    assert "ec2 CreateTags: HTTP 403 UnauthorizedOperation" in done.stderr or "AccessDenied" in done.stderr
    assert f"cannot tag {INSTANCE} with the reason" in done.stderr


def test_without_any_python_the_node_does_not_join(booted):
    """Nothing can be called then, the hook ends by its own timeout; that must not count as validated."""
    for name in ("python3", "python", "python2"):
        (booted.tools / name).write_text("#!/bin/sh\nexit 127\n")
        (booted.tools / name).chmod(0o755)
    done = booted.join(bootstrap())
    assert done.returncode == 1
    assert booted.calls("kubeadm") == []
    assert booted.dropin(REFUSED).exists()
    assert booted.cloud.calls == []
