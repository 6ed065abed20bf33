"""What differs between families, by running the rendered scripts: boot loader, gate, probe, and where arguments go."""

import pytest
import yaml

from pulumi_nodepools.bootstrap import FAMILIES, EksJoin

from .conftest import CLOUD_INIT, NOKMEM, bootstrap

GATE, REFUSED = "05-nodepools-gate.conf", "06-nodepools-refused.conf"
NODEADM = {"join": EksJoin("10.100.0.0/16"), "certificate_authority": "Q0E="}
KERNELS = {
    "el7": "3.10.0-1160.119.1.el7.x86_64",
    "al2": "5.10.230-223.885.amzn2.x86_64",
    "el8": "4.18.0-553.22.1.el8_10.x86_64",
    "el9": "5.14.0-503.11.1.el9_5.x86_64",
    "el10": "6.12.0-55.el10.x86_64",
    "al2023": "6.1.115-126.197.amzn2023.x86_64",
    "ubuntu": "6.8.0-1021-aws",
}
GRUBBY = [name for name in CLOUD_INIT if name != "ubuntu"]
NEWER = [name for name in CLOUD_INIT if name != "el7"]


@pytest.fixture
def machine(machine):
    """With the bootstrap.sh of EKS images."""
    script = machine.root / "etc/eks/bootstrap.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return machine


def made(**changes):
    return bootstrap(**({"minimum_kernel": None} | NODEADM | changes))


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_one_reboot_brings_the_argument_and_every_join_unit_is_gated(machine, family):
    """From the first boot to the second, with whatever the family has for a boot loader tool."""
    machine.boothook(made(), family)
    assert machine.reboots == 1
    for unit in FAMILIES[family].join_units:
        assert machine.dropin(GATE, unit).read_text() == f"[Unit]\nConditionKernelCommandLine={NOKMEM}\n"
    machine.power_on()
    assert NOKMEM in machine.cmdline.split()
    assert machine.boothook(made(), family).returncode == 0
    assert machine.reboots == 1


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_a_boot_loader_tool_that_fails_means_no_reboot(machine, family):
    for tool in ("grubby", "update-grub"):
        (machine.fake / f"{tool}-fails").touch()
    done = machine.boothook(made(), family)
    assert done.returncode == 1
    assert machine.reboots == 0
    assert ("update-grub failed with status 3" if family == "ubuntu" else "grubby --update-kernel=ALL") in done.stderr


@pytest.mark.parametrize("family", ["el8", "el9", "el10", "al2023"])
def test_kernels_installed_later_take_the_argument_from_the_command_line_file_once(machine, family):
    file = machine.root / "etc/kernel/cmdline"
    file.parent.mkdir()
    file.write_text("ro crashkernel=auto nosmt\n")
    machine.boothook(made(kernel_arguments=("nosmt", "mitigations=auto")), family)
    assert file.read_text() == "ro crashkernel=auto nosmt mitigations=auto\n"


@pytest.mark.parametrize("family", GRUBBY)
def test_without_that_file_none_is_made(machine, family):
    machine.boothook(made(), family)
    assert not (machine.root / "etc/kernel/cmdline").exists()


def test_ubuntu_keeps_the_image_s_own_settings_and_writes_its_words_once(machine):
    folder = machine.root / "etc/default/grub.d"
    folder.mkdir()
    (folder / "50-cloudimg-settings.cfg").write_text('GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\n')
    (machine.fake / "update-grub-fails").touch()
    for _ in range(3):
        machine.boothook(made(), "ubuntu")
    (machine.fake / "update-grub-fails").unlink()
    machine.boothook(made(), "ubuntu")
    machine.power_on()
    assert machine.cmdline.split()[-2:] == ["crashkernel=auto", NOKMEM]
    assert (folder / "99-nodepools.cfg").read_text().count(NOKMEM) == 2  # the mark and the assignment
    assert (machine.root / "etc/default/grub").read_text() == 'GRUB_CMDLINE_LINUX="crashkernel=auto"\n'


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_a_kernel_is_compared_with_the_floor_as_the_family_names_it(machine, family):
    machine.kernel = KERNELS[family]
    same = KERNELS[family].removesuffix(".x86_64").removesuffix("-aws")
    older = same.replace(same.split(".")[0], str(int(same.split(".")[0]) + 1), 1)
    assert machine.join(made(kernel_arguments=(), minimum_kernel=same), family).returncode == 0
    done = machine.join(made(kernel_arguments=(), minimum_kernel=older), family)
    assert f"kernel {machine.kernel} is older than {older}" in done.stderr
    assert machine.cloud.hook_results == ["CONTINUE", "ABANDON"]
    for unit in FAMILIES[family].join_units:
        assert machine.dropin(REFUSED, unit).read_text() == "[Unit]\nConditionPathExists=!/\n"
        assert f"stop {unit}" in machine.calls("systemctl")


V2 = "cpu 1\nkernel_stack {}\npagetables 3\nslab {}\nslab_reclaimable {}\n"


@pytest.mark.parametrize("family", NEWER)
@pytest.mark.parametrize(
    ("file", "on", "off"),
    [
        ("system.slice/memory.stat", V2.format(98304, 4603800, 4603000), V2.format(0, 0, 0)),
        ("memory/system.slice/memory.kmem.usage_in_bytes", "6078464\n", "0\n"),
    ],
)
def test_accounting_is_read_from_a_slice_that_runs_the_system(machine, family, file, on, off):
    machine.cmdline += f" {NOKMEM}"
    stat = machine.root / "sys/fs/cgroup" / file
    stat.parent.mkdir(parents=True)
    stat.write_text(off)
    done = machine.join(made(), family)
    assert (done.returncode, machine.cloud.hook_results) == (0, ["CONTINUE"])
    assert "unverifiable" not in done.stderr
    stat.write_text(on)
    done = machine.join(made(), family)
    assert "ABANDON: kernel memory is still accounted" in done.stderr
    assert machine.cloud.hook_results[-1] == "ABANDON"


@pytest.mark.parametrize("family", NEWER)
def test_numbers_that_cannot_be_read_are_no_proof(machine, family):
    machine.cmdline += f" {NOKMEM}"
    stat = machine.root / "sys/fs/cgroup/memory/system.slice/memory.kmem.usage_in_bytes"
    stat.parent.mkdir(parents=True)
    stat.write_text("")
    assert "still accounted: unreadable bytes" in machine.join(made(), family).stderr
    assert machine.cloud.hook_results == ["ABANDON"]


def test_debian_packages_read_kubelet_arguments_from_their_own_file(machine):
    machine.cmdline += f" {NOKMEM}"
    done = machine.join(bootstrap(minimum_kernel=None), "ubuntu")
    assert done.returncode == 0, done.stderr
    assert "nodepools.dev/validated=worker-7.7.1908" in (machine.root / "etc/default/kubelet").read_text()
    assert not (machine.root / "etc/sysconfig/kubelet").exists()
    assert len(machine.calls("kubeadm")) == 1


def test_nodeadm_gets_the_evidence_only_from_the_validator(machine):
    machine.cmdline += f" {NOKMEM}"
    done = machine.join(made(taints=("dedicated=ci:NoSchedule",), kubelet_arguments=("--max-pods=58",)), "al2023")
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load((machine.root / "etc/eks/nodeadm.d/90-nodepools.yaml").read_text())
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    labels, *rest = config["spec"]["kubelet"]["flags"]
    assert set(labels.removeprefix("--node-labels=").split(",")) == {
        "team=ci",
        "nodepools.dev/pool=worker",
        "nodepools.dev/version=7.7.1908",
        "nodepools.dev/validated=worker-7.7.1908",
    }
    assert rest == ["--register-with-taints=dedicated=ci:NoSchedule", "--max-pods=58"]
    assert machine.calls("kubeadm") == []
    assert machine.cloud.hook_results == ["CONTINUE"]


def test_nodeadm_gets_nothing_from_a_node_that_is_refused(machine):
    machine.join(made(), "al2023")
    assert machine.cloud.hook_results == ["ABANDON"]
    assert not (machine.root / "etc/eks/nodeadm.d").exists()
    assert "stop nodeadm-run.service" in machine.calls("systemctl")
