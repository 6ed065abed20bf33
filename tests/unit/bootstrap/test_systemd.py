"""systemd's own opinion of the drop-ins that the boothook writes, where systemd-analyze is installed."""

import os
import re
import shutil
import subprocess

import pytest

from pulumi_nodepools.bootstrap import FAMILIES

from .conftest import NOKMEM, bootstrap

GATE = "05-nodepools-gate.conf"
UNIT = "[Unit]\nDescription={0}\n[Service]\nExecStart=/bin/true\n"


@pytest.fixture
def analyze():
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")

    def run(*words, **environment) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_systemd_knows_every_directive(machine, analyze, family):
    machine.boothook(bootstrap(kernel_arguments=(NOKMEM, "nosmt")), family)
    for unit in FAMILIES[family].join_units:
        folder = machine.dropin(GATE, unit).parent
        (folder.parent / unit).write_text(UNIT.format(unit))
        done = analyze("verify", "--recursive-errors=no", str(folder.parent / unit))
        assert done.returncode == 0, done.stderr
        assert "nodepools" not in done.stderr, done.stderr
    with machine.dropin(GATE).open("a") as gate:
        gate.write("ConditionKernelComandLine=x\n")
    assert (
        "nodepools-gate.conf" in analyze("verify", str(machine.dropin(GATE).parent.parent / "kubelet.service")).stderr
    )


@pytest.mark.parametrize(
    ("cmdline", "holds"),
    [
        (f"ro {NOKMEM}", True),
        (f"ro cgroup.memory=nosocket {NOKMEM}", True),
        ("ro", False),
        (f"ro {NOKMEM}2", False),
        (f"ro x{NOKMEM}", False),
        ("ro cgroup.memory=nosocket,nokmem", False),
    ],
)
def test_the_condition_holds_for_the_exact_word_only(machine, analyze, cmdline, holds):
    machine.boothook(bootstrap())
    (condition,) = re.findall(r"^Condition.*$", machine.dropin(GATE).read_text(), re.MULTILINE)
    done = analyze("condition", condition, SYSTEMD_PROC_CMDLINE=cmdline)
    assert (done.returncode == 0) is holds, done.stderr
