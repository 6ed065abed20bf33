"""The validator's checks for machines that run already: the same verdicts as at boot, and nothing changed."""

import subprocess

import pytest

from pulumi_nodepools.bootstrap.host_check import host_check
from tests.tools import ask

from .conftest import CLOUD_INIT, KERNEL, NOKMEM

EIO, READABLE = "/proc/self/mem", "/proc/self/status"


def asked(machine, *arguments: str, floor: str | None = None, family: str = "el7") -> subprocess.CompletedProcess[str]:
    before = contents(machine)
    done = machine.run(host_check("web-1", family, arguments, floor))
    after = contents(machine)
    assert {name: after[name] for name in before} == before or not before, "it looks and changes nothing"
    assert set(machine.calls("systemctl") + machine.calls("aws") + machine.calls("grubby")) == set()
    return done


def contents(machine) -> dict[str, str]:
    """Everything in the scratch root but what the fixture itself writes for each run."""
    files = {str(path): path for path in machine.root.rglob("*") if path.is_file() and not path.is_symlink()}
    return {name: path.read_text() for name, path in files.items() if "/proc/" not in name}


def slabinfo(machine, name: str, leads_to: str) -> None:
    cgroup = machine.root / "sys/fs/cgroup/memory/kubepods" / name
    cgroup.mkdir(parents=True)
    (cgroup / "memory.kmem.slabinfo").symlink_to(leads_to)


def test_a_patched_machine_says_with_what_it_runs(machine):
    machine.cmdline += f" {NOKMEM} nosmt"
    slabinfo(machine, "pod1", EIO)
    done = asked(machine, NOKMEM, "nosmt", floor="3.10.0-1062.4.1")
    assert (done.returncode, done.stdout) == (0, f"web-1: validated: kernel {KERNEL} with {NOKMEM} nosmt\n")


@pytest.mark.parametrize("family", [*CLOUD_INIT, "flatcar"])
def test_a_missing_argument_is_named_with_its_machine(machine, family):
    done = asked(machine, "nosmt", family=family)
    assert (done.returncode, done.stdout) == (1, "web-1: kernel argument nosmt is not in /proc/cmdline\n")


def test_an_old_kernel_is_named_with_the_floor(machine):
    machine.kernel = "3.10.0-957.el7.x86_64"
    done = asked(machine, floor="3.10.0-1062.4.1")
    assert (done.returncode, done.stdout) == (1, f"web-1: kernel {machine.kernel} is older than 3.10.0-1062.4.1\n")


def test_one_cgroup_that_still_accounts_is_enough(machine):
    machine.cmdline += f" {NOKMEM}"
    slabinfo(machine, "pod1", EIO)
    slabinfo(machine, "pod2", READABLE)
    done = asked(machine, NOKMEM)
    assert done.returncode == 1
    assert "kernel memory is still accounted" in done.stdout
    assert "pod2/memory.kmem.slabinfo can be read" in done.stdout


def test_without_containers_it_says_that_accounting_cannot_be_told(machine):
    machine.cmdline += f" {NOKMEM}"
    done = asked(machine, NOKMEM)
    assert done.returncode == 0
    assert "web-1: kernel memory accounting is unverifiable here: no cgroup below another" in done.stdout


def test_the_leak_in_the_kernel_s_messages_is_found(machine):
    machine.cmdline += f" {NOKMEM}"
    (machine.fake / "dmesg").write_text("[ 1.0] kmem_cache_create(nf_conntrack_1) failed with error -12\n")
    done = asked(machine, NOKMEM)
    assert (done.returncode, "reports the kmem leak since this boot" in done.stdout) == (1, True)


@pytest.mark.parametrize("family", [*CLOUD_INIT, "flatcar"])
def test_shellcheck_finds_nothing(family, tmp_path):
    file = tmp_path / "check.sh"
    file.write_text(host_check("web-1", family, (NOKMEM,), "3.10.0"))
    done = ask("shellcheck", "-s", "sh", file)
    assert done.returncode == 0, done.stdout
