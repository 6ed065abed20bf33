"""The gate and the one reboot, by running the rendered boothook."""

import re

import pytest

from .conftest import INSTANCE, NOKMEM, bootstrap

GATE = "05-nodepools-gate.conf"


def test_the_first_boot_writes_the_gate_sets_the_argument_and_reboots_once(machine):
    machine.boothook(bootstrap())
    assert machine.dropin(GATE).read_text() == f"[Unit]\nConditionKernelCommandLine={NOKMEM}\n"
    assert machine.calls("systemctl") == ["daemon-reload", "--no-block reboot"]
    assert machine.calls("grubby") == [f"--update-kernel=ALL --args={NOKMEM}"]
    grub = (machine.root / "etc/default/grub").read_text()
    assert grub.endswith(f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {NOKMEM}"\n')
    assert grub.startswith('GRUB_CMDLINE_LINUX="crashkernel=auto"\n')


def test_the_second_boot_has_the_argument_and_does_nothing_more(machine):
    machine.boothook(bootstrap())
    machine.power_on()
    done = machine.boothook(bootstrap())
    assert done.returncode == 0
    assert machine.reboots == 1
    assert len(machine.calls("grubby")) == 1
    assert not (machine.root / "var/lib/nodepools/boothook-reason").exists()


def test_an_image_with_the_argument_baked_in_is_gated_but_not_rebooted(machine):
    machine.cmdline += f" {NOKMEM}"
    assert machine.boothook(bootstrap()).returncode == 0
    assert machine.reboots == 0
    assert machine.calls("grubby") == []
    assert machine.dropin(GATE).exists()


def test_a_boot_loader_tool_that_does_nothing_leads_to_one_reboot_and_no_loop(machine):
    (machine.fake / "grubby-noop").touch()
    for _ in range(4):
        done = machine.boothook(bootstrap())
        machine.power_on()
    assert machine.reboots == 1
    assert done.returncode == 1
    assert f"kernel arguments still absent after the one reboot: {NOKMEM}" in done.stderr
    assert machine.dropin(GATE).exists(), "the gate stays shut"


def test_a_failed_edit_neither_reboots_nor_counts_as_the_attempt(machine):
    (machine.fake / "grubby-fails").touch()
    done = machine.boothook(bootstrap())
    assert done.returncode == 1
    assert "grubby --update-kernel=ALL" in done.stderr
    assert machine.reboots == 0
    assert machine.dropin(GATE).exists()
    (machine.fake / "grubby-fails").unlink()
    machine.boothook(bootstrap())
    assert machine.reboots == 1, "the next boot may still try"


def test_an_attempt_of_the_instance_that_the_image_was_made_from_does_not_count(machine):
    left = machine.root / "var/lib/nodepools/attempted-i-0fffffffffffffff0"
    left.parent.mkdir(parents=True)
    left.touch()
    machine.boothook(bootstrap())
    assert machine.reboots == 1
    assert (left.parent / f"attempted-{INSTANCE}").exists()


def test_without_the_variable_of_cloud_init_the_metadata_service_names_the_instance(machine):
    from pulumi_nodepools.bootstrap import render

    from .conftest import parts

    machine.run(parts(render("el7", bootstrap()))["text/cloud-boothook"])
    assert (machine.root / f"var/lib/nodepools/attempted-{INSTANCE}").exists()


@pytest.mark.parametrize(
    "cmdline",
    [
        "ro cgroup.memory=nosocket,nokmem",
        "ro xcgroup.memory=nokmem",
        "ro cgroup.memory=nokmem2",
        "ro -- cgroup.memory=nokmem",
    ],
)
def test_only_the_exact_word_given_to_the_kernel_counts(machine, cmdline):
    machine.cmdline = cmdline
    machine.boothook(bootstrap())
    assert machine.reboots == 1


def test_every_argument_is_gated_and_only_missing_ones_are_set(machine):
    machine.cmdline += f" {NOKMEM}"
    machine.boothook(bootstrap(kernel_arguments=(NOKMEM, "nosmt", "transparent_hugepage=never")))
    conditions = re.findall(r"ConditionKernelCommandLine=(.*)", machine.dropin(GATE).read_text())
    assert conditions == [NOKMEM, "nosmt", "transparent_hugepage=never"]
    assert machine.calls("grubby") == ["--update-kernel=ALL --args=nosmt transparent_hugepage=never"]


def test_a_gate_that_cannot_be_written_stops_before_any_reboot(machine):
    (machine.root / "etc/systemd").write_text("in the way")
    done = machine.boothook(bootstrap())
    assert done.returncode == 1
    assert "kubelet.service.d" in done.stderr
    assert machine.reboots == 0
