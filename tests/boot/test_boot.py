"""Our user data on a real kernel, boot loader, systemd and cloud-init: a Debian machine in an emulator.

Debian stands in for the `ubuntu` family, whose boot loader tool it shares. grubby's families cannot be booted from
Debian's packages; their shell text runs in the unit tests, with stand-ins.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pulumi_nodepools.bootstrap import Bootstrap, KubeadmJoin, render
from tests.boot import image
from tests.boot.machine import Machine
from tests.node_cloud import INSTANCE, JOIN_TOKEN, Cloud

NOKMEM = "cgroup.memory=nokmem"
BAKED_IN = f"root=/dev/vda1 ro console=ttyS0,115200 {NOKMEM}"
EVIDENCE = "nodepools.dev/validated=worker-v2"
OUT = Path(__file__).parents[2] / "out/boot-test"
CASES: dict[str, dict[str, str]] = {
    "argument-added": {},
    "bootloader-does-nothing": {"fault": "bootloader-does-nothing"},
    "argument-baked-in": {"append": BAKED_IN},
    "kernel-reports-leak": {"append": BAKED_IN, "fault": "kernel-reports-leak"},
}

pytestmark = [pytest.mark.boot, pytest.mark.timeout(1800)]


def user_data() -> str:
    return render(
        "ubuntu",
        Bootstrap(
            cluster="prod",
            endpoint="https://api.prod.example:6443",
            certificate_authority="",
            join=KubeadmJoin("/prod/join-token", ("sha256:" + "a1" * 32,)),
            region="us-west-2",
            pool="worker",
            version="v2",
            group="prod-worker-v2",
            labels={"team": "ci"},
            kernel_arguments=(NOKMEM,),
            minimum_kernel="6.1.0",
        ),
    )


class Case:
    """One machine, from its first power-on to its last."""

    def __init__(self, name: str, disk: image.Image) -> None:
        self.name = name
        self.verdict = "failed"
        with Cloud() as cloud:
            self.machine = Machine(OUT / name, disk, cloud, user_data(), **CASES[name])
            self.cloud = cloud
            self.machine.run()

    @property
    def command_lines(self) -> list[str]:
        return [boot.command_line for boot in self.machine.boots]

    def said(self, prefix: str) -> list[list[str]]:
        """Per boot."""
        return [boot.said(prefix) for boot in self.machine.boots]

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "verdict": self.verdict,
            "powerOns": len(self.machine.boots),
            "commandLines": self.command_lines,
            "seconds": [boot.seconds for boot in self.machine.boots],
            "launchHook": self.cloud.hook_results,
            "unsignedCalls": self.cloud.faults,
            "refused": self.cloud.refusals,
            "kubelet": self.said("boot-test: kubelet "),
            "node": self.said("nodepools: "),
        }


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Case]]:
    """Every case has run; two at a time, since an emulated machine keeps one core busy."""
    subprocess.run([Path(__file__).parents[1] / "tools.sh", "check", "boot"], check=True)
    disk = image.find_or_build()
    shutil.rmtree(OUT, ignore_errors=True)
    with ThreadPoolExecutor(2) as pool:
        ran = dict(zip(CASES, pool.map(lambda name: Case(name, disk), CASES), strict=True))
    yield ran
    (OUT / "results.json").write_text(json.dumps({"cases": [case.plain() for case in ran.values()]}, indent=2) + "\n")


def test_the_argument_comes_with_one_reboot_and_only_then_the_node_joins(cases):
    case = cases["argument-added"]
    first, second = case.machine.boots
    assert NOKMEM not in first.command_line.split()
    assert NOKMEM in second.command_line.split()
    assert first.said("boot-test: kubelet ") == []
    assert "rebooting once" in first.said("nodepools: ")
    assert any(line.startswith(f"validated: {EVIDENCE} on 6.1.0-") for line in second.said("nodepools: "))
    (serves,) = second.said("boot-test: kubelet serves with ")
    assert EVIDENCE in serves
    assert NOKMEM in serves.split(" after ")[1].split()
    assert case.cloud.hook_results == ["CONTINUE"]
    case.verdict = "passed"


def test_the_kernel_itself_shows_that_accounting_is_off(cases):
    """The probe read real numbers: it neither refused nor called them unverifiable."""
    lines = cases["argument-added"].machine.boots[1].said("nodepools: ")
    assert not any("unverifiable" in line for line in lines)


def test_a_boot_loader_that_ignores_the_argument_costs_one_reboot_and_the_node(cases):
    case = cases["bootloader-does-nothing"]
    assert len(case.machine.boots) == 2
    assert case.machine.boots[-1].ended, "no loop: the second boot went on to its end"
    assert not any(NOKMEM in line.split() for line in case.command_lines)
    assert case.said("boot-test: kubelet ") == [[], []]
    assert "ConditionResult=no" in case.machine.boots[1].said("boot-test: kubelet.service ")
    reason = f"kernel arguments still absent after the one reboot: {NOKMEM}"
    assert any(line.startswith("ABANDON: ") and reason in line for line in case.machine.boots[1].said("nodepools: "))
    assert case.cloud.hook_results == ["ABANDON"]
    assert [reason in str(told) for told in case.cloud.refusals] == [True]
    case.verdict = "passed"


def test_an_argument_in_the_image_needs_no_reboot(cases):
    case = cases["argument-baked-in"]
    (boot,) = case.machine.boots
    assert boot.ended
    assert EVIDENCE in boot.said("boot-test: kubelet serves with ")[0]
    assert case.cloud.hook_results == ["CONTINUE"]
    case.verdict = "passed"


def test_a_node_whose_kernel_reports_the_leak_does_not_join(cases):
    case = cases["kernel-reports-leak"]
    (boot,) = case.machine.boots
    assert any(line.startswith("ABANDON: the kernel reports the kmem leak") for line in boot.said("nodepools: "))
    assert boot.said("boot-test: kubelet serves") == []
    assert "ActiveState=inactive" in boot.said("boot-test: kubelet.service ")
    assert case.cloud.hook_results == ["ABANDON"]
    (reason,) = case.cloud.refusals
    assert str(reason).startswith("the kernel reports the kmem leak since this boot: ")
    case.verdict = "passed"


def test_no_console_shows_the_join_token(cases):
    assert not any(JOIN_TOKEN in boot.console for case in cases.values() for boot in case.machine.boots)


def test_every_call_to_aws_is_signed_with_the_credentials_of_the_role(cases):
    assert {name: case.cloud.faults for name, case in cases.items()} == {key: [] for key in CASES}
    (completed,) = cases["argument-added"].cloud.called("CompleteLifecycleAction")
    assert (completed.service, completed.region) == ("autoscaling", "us-west-2")
    assert completed.parameters["AutoScalingGroupName"] == "prod-worker-v2"
    assert completed.parameters["InstanceId"] == INSTANCE
