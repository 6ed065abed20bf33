"""HostValidation against a mock engine: one command per machine, nothing changed, bad input refused at once."""

import pytest

from pulumi_nodepools import ConfigError, HostValidation, HostValidationArgs, SshHost
from tests.components.engine import run

HOST = SshHost(address="10.0.0.1", host_key="ssh-ed25519 AAAA")


def make_args(**changes) -> HostValidationArgs:
    values = {
        "hosts": {"one": HOST, "two": SshHost(address="10.0.0.2", host_key="ssh-ed25519 BBBB", port=2222)},
        "user": "centos",
        "private_key": "KEY",
        "os_family": "el7",
        "kernel_arguments": ("cgroup.memory=nokmem",),
        "minimum_kernel": "3.10.0-1062.4.1",
    }
    return HostValidationArgs(**values | changes)


def test_every_machine_is_asked_with_its_own_key() -> None:
    recorded = run(lambda: HostValidation("fix", make_args(triggers=["today"])))
    assert {one.name for one in recorded.of("remote:Command")} == {"fix-one", "fix-two"}
    command = recorded["fix-two"]
    assert command.parent == "fix"
    asked = {"host": "10.0.0.2", "port": 2222, "user": "centos", "privateKey": "KEY", "hostKey": "ssh-ed25519 BBBB"}
    assert asked.items() <= command.inputs["connection"]["value"].items(), "a secret as a whole: it holds the key"
    assert command.inputs["triggers"] == ["today"]
    assert "KEY" not in command.inputs["stdin"] + command.inputs["create"]
    assert "set -- cgroup.memory=nokmem" in command.inputs["stdin"]
    assert not {"update", "delete"} & command.inputs.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hosts": {}}, "hosts: is empty; name at least one machine"),
        ({"hosts": {"a b": HOST}}, 'hosts: "a b" cannot be a name: at most 63 letters'),
        ({"os_family": "el6"}, "os_family 'el6' is not known; use one of el7"),
        ({"kernel_arguments": ("a b",)}, 'kernel_arguments: "a b" is not one kernel argument'),
        ({"kernel_arguments": ("cgroup.memory=nosocket,nokmem",)}, "list cgroup.memory=nosocket and cgroup.memory=nok"),
        ({"minimum_kernel": "new"}, 'minimum_kernel: "new" is not a kernel version'),
        ({"kernel_arguments": (), "minimum_kernel": None}, "nothing is asked of the hosts; give kernel_arguments"),
    ],
)
def test_bad_input_is_refused_with_the_fix(changes, message) -> None:
    with pytest.raises(ConfigError) as caught:
        make_args(**changes)
    assert message in str(caught.value)
