"""HostValidation through the real engine, the sandbox's command plugin and a real sshd."""

import json

import pytest
from plugin_case import Engine
from program_case import Program
from ssh_case import KERNEL, Host, host

from pulumi_nodepools.bootstrap.host_check import host_check
from pulumi_nodepools.host_validation import _RUN
from sandbox.plugins.command import Command
from sandbox.plugins.host import PluginError

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

NOKMEM = "cgroup.memory=nokmem"
GOOD, BAD = f"ro {NOKMEM}", "ro quiet"
PROGRAM = f"""
import json, pulumi
from pulumi_nodepools import HostValidation, HostValidationArgs, SshHost

config = pulumi.Config()
hosts = {{name: SshHost(**where) for name, where in config.require_object("hosts").items()}}
args = HostValidationArgs(
    hosts=hosts, user=config.require("user"), private_key=config.require_secret("key"), os_family="el7",
    kernel_arguments=[{NOKMEM!r}], minimum_kernel="3.10.0-1062.4.1", triggers=[config.get("round") or ""],
)
pulumi.export("said", HostValidation("fix", args).results)
"""


class Machines(Program):
    """A stack that validates the machines that a test gives it."""

    def ask(self, hosts: dict[str, Host], round_: str = "", fails: bool = False) -> str:
        """`pulumi up` with these machines."""
        one = next(iter(hosts.values()))
        where = {
            name: {"address": "127.0.0.1", "port": each.port, "host_key": each.host_key} for name, each in hosts.items()
        }
        self.run("config", "set", "hosts", json.dumps(where))
        self.run("config", "set", "user", one.user)
        self.run("config", "set", "round", round_)
        self.run("config", "set", "--secret", "key", stdin=one.private_key)
        return self.run("up", "--yes", "--skip-preview", fails=fails)


def test_patched_machines_pass_and_the_others_are_named_with_what_they_lack(tmp_path) -> None:
    program = Machines(tmp_path / "program", PROGRAM, "command")
    with host(tmp_path / "one", GOOD) as one, host(tmp_path / "two", GOOD) as two:
        (tmp_path / "two/user.pub").write_text((tmp_path / "one/user.pub").read_text())
        both = {"web-1": one, "web-2": two}
        program.ask(both)
        said = json.loads(program.run("stack", "output", "--json"))["said"]
        assert {name: text.splitlines()[-1] for name, text in said.items()} == {
            name: f"{name}: validated: kernel {KERNEL} with {NOKMEM}" for name in both
        }
        stored = "".join(path.read_text() for path in (tmp_path / "program/state").rglob("*.json"))
        assert "fix-web-1" in stored
        assert one.private_key.splitlines()[1] not in stored, "the key is a secret of the stack"

        (two.root / "proc/cmdline").write_text(BAD + "\n")
        program.ask(both)  # nothing changed in the program: nothing is asked
        output = program.ask(both, round_="2", fails=True)
        assert f"web-2: kernel argument {NOKMEM} is not in /proc/cmdline" in output
        assert "web-1: kernel argument" not in output
        assert "Traceback" not in output


def test_another_machine_in_its_place_is_not_believed(tmp_path) -> None:
    with host(tmp_path / "one", GOOD) as one, host(tmp_path / "other", GOOD) as other:
        with pytest.raises(PluginError, match="Host key verification failed"):
            remote(one, host_key=other.host_key)
        assert "validated" in remote(one)


def test_a_kernel_below_the_floor_is_refused_over_ssh(tmp_path) -> None:
    older = r"web-1: kernel 3\.10\.0-957\.el7\.x86_64 is older than 3\.10\.0-1062"
    with host(tmp_path / "one", GOOD, "3.10.0-957.el7.x86_64") as one, pytest.raises(PluginError, match=older):
        remote(one)


def remote(one: Host, **changes: str) -> str:
    connection = {"host": "127.0.0.1", "port": one.port, "user": one.user, "privateKey": one.private_key}
    script = host_check("web-1", "el7", [NOKMEM], "3.10.0-1062.4.1")
    inputs = {
        "connection": {**connection, "hostKey": changes.get("host_key", one.host_key)},
        "create": _RUN,
        "stdin": script,
    }
    return str(Engine(Command()).create("command:remote:Command", "validate", inputs).state["stdout"])
