"""A holder that ran on this host is known to be dead by its process; of all others nothing is known."""

import os
import subprocess
import sys

import pytest

from pulumi_nodepools.cluster import identity
from pulumi_nodepools.cluster.identity import known_dead, of_this_process


@pytest.fixture
def proc(tmp_path):
    """A /proc of our own, with one process that has a space and a bracket in its name."""
    for folder in ("sys/kernel/random", "self/ns", str(os.getpid()), "4711"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot-1\n")
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    for pid, start in ((os.getpid(), 500), (4711, 900)):
        _stat(tmp_path, pid, start)
    return tmp_path


def _stat(proc, pid, start, state="S"):
    (proc / str(pid) / "stat").write_text(f"{pid} (a) b) {state} " + "0 " * 18 + f"{start} 0 0\n")


def _holder(proc, pid=4711, start=900, place=None):
    return f"host-with-dash-{pid}-{start}-{place or identity._place(proc)}"


def test_this_process_is_alive(proc):
    assert of_this_process(proc).endswith(f"-{os.getpid()}-500-{identity._place(proc)}")
    assert not known_dead(of_this_process(proc), proc)
    assert not known_dead(of_this_process())


def test_a_process_that_ended_or_whose_number_was_given_again_is_dead(proc):
    assert not known_dead(_holder(proc), proc)
    assert known_dead(_holder(proc, pid=4712), proc)
    assert known_dead(_holder(proc, start=899), proc)
    _stat(proc, 4711, 900, state="Z")
    assert known_dead(_holder(proc), proc)


@pytest.mark.parametrize("holder", ["", "ip-10-0-0-1-1234-abcd", "somebody", "a-b-c-d"])
def test_of_an_unknown_kind_of_holder_nothing_is_known(proc, holder):
    assert not known_dead(holder, proc)


def test_elsewhere_process_ids_mean_nothing(proc):
    gone = _holder(proc, pid=4712)
    assert known_dead(gone, proc)
    (proc / "sys/kernel/random/boot_id").write_text("boot-2\n")
    assert not known_dead(gone, proc), "another host, or this one after a reboot"
    (proc / "sys/kernel/random/boot_id").write_text("boot-1\n")
    (proc / "self/ns/pid").unlink()
    (proc / "self/ns/pid").symlink_to("pid:[4026531999]")
    assert not known_dead(gone, proc), "another container of the same host"


def test_without_a_proc_nobody_is_known_to_be_dead(tmp_path):
    mine = of_this_process(tmp_path)
    assert mine != of_this_process(tmp_path)
    assert not known_dead(mine, tmp_path)


def test_a_real_process_is_alive_until_it_has_ended():
    program = "from pulumi_nodepools.cluster.lease import holder_identity as h; print(h(), flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder = child.stdout.readline().strip()
        assert holder
        assert not known_dead(holder)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert known_dead(holder), "its remains are no holder"
    finally:
        child.kill()
        child.wait()
    assert known_dead(holder)
