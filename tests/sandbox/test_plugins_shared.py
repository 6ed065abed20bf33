"""What the three stand-in plugins share: values, shapes, and the wire to the engine."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from aws_case import REPOSITORY
from google.protobuf import empty_pb2, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from plugin_case import Engine, urn
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.plugins.aws import Aws
from sandbox.plugins.command import Command
from sandbox.plugins.host import PluginError, partial_status
from sandbox.plugins.values import FLAG, UNKNOWN, has_unknown, misfits, plain, plain_map, wrap, wrap_map

LOCAL = "command:local:Command"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_values_survive_the_wire(value: Any) -> None:
    message = wrap(value).marshal()
    assert plain(PropertyValue.unmarshal(message)) == value


def test_unknown_values_survive_the_wire():
    message = wrap({"a": [UNKNOWN]}).marshal()
    assert message.struct_value.fields["a"].list_value.values[0].string_value == rpc.UNKNOWN
    assert has_unknown(plain(PropertyValue.unmarshal(message)))


def test_secrets_and_outputs_are_unwrapped():
    secret = PropertyValue(PropertyValue("token").value, is_secret=True, dependencies=["urn:x"])
    assert plain_map({"password": secret, "absent": PropertyValue.null()}) == {"password": "token"}


@pytest.mark.parametrize(
    ("value", "shape", "path"),
    [
        ({"imageID": "ami-1"}, {"imageId": str}, "imageID"),
        ({"hooks": [{"nme": "x"}]}, {"hooks": [{"name": str}]}, "hooks[0].nme"),
        ({"size": "3"}, {"size": int}, "size"),
        ({"size": True}, {"size": int}, "size"),
        ({"ids": "subnet-1"}, {"ids": [str]}, "ids"),
        ({"tags": {"a": 1}}, {"tags": {"*": str}}, "tags.a"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(value, shape, path):
    assert [found for found, _ in misfits("", value, shape)] == [path]


def test_unknowns_nulls_and_flags_fit():
    value = {"size": UNKNOWN, "name": None, "encrypted": True, "encryptedToo": "true"}
    assert misfits("", value, {"size": int, "name": str, "encrypted": FLAG, "encryptedToo": FLAG}) == []


def test_names_are_generated_once_and_kept():
    engine = Engine(Aws(), region="us-west-2")
    token = "aws:iam/role:Role"
    first, _ = engine.check(token, "node", {"assumeRolePolicy": "{}"})
    assert first["name"] == "node-0123456"
    kept, _ = engine.check(token, "node", {"assumeRolePolicy": "{}"}, {**first, "name": "node-fedcba9"})
    assert kept["name"] == "node-fedcba9"


def test_unknown_resource_names_what_is_known():
    with pytest.raises(PluginError, match=r"s3/bucket.*it knows aws:autoscaling/group:Group"):
        Engine(Aws(), region="us-west-2").check("aws:s3/bucket:Bucket", "b", {})


@pytest.fixture(scope="module")
def wire() -> Iterator[Any]:
    """The command plugin as a process, over gRPC."""
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox.plugins.command", "127.0.0.1:1"], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            stub.Configure(provider_pb2.ConfigureRequest(args=struct_pb2.Struct(), acceptSecrets=True))
            yield stub
        process.terminate()


@pytest.mark.sandbox
def test_process_reports_the_installed_version_and_takes_no_secrets(wire):
    assert wire.GetPluginInfo(empty_pb2.Empty()).version == version("pulumi-command")
    answer = wire.Configure(provider_pb2.ConfigureRequest(args=struct_pb2.Struct(), acceptSecrets=True))
    assert (answer.acceptSecrets, answer.supportsPreview) == (False, True)


@pytest.mark.sandbox
def test_expected_failure_is_one_message_without_traceback(wire):
    properties = PropertyValue.marshal_map(wrap_map({"create": "echo broken >&2; exit 3"}))
    with pytest.raises(grpc.RpcError) as caught:
        wire.Create(provider_pb2.CreateRequest(urn=urn(LOCAL, "smoke"), properties=properties))
    assert caught.value.code() == grpc.StatusCode.UNKNOWN
    assert caught.value.details() == 'exit status 3: running "echo broken >&2; exit 3":\nbroken\n'


@pytest.mark.sandbox
def test_process_ends_when_its_engine_is_killed():
    starter = f"{sys.executable} -m sandbox.plugins.command 127.0.0.1:1 & wait"
    with subprocess.Popen(["sh", "-c", starter], cwd=REPOSITORY, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        assert int(engine.stdout.readline())
        engine.kill()
        assert engine.stdout.read() == b""  # comes when the last process that holds the pipe has ended


def test_resource_that_exists_although_its_creation_failed_is_told_to_the_engine():
    request = provider_pb2.CreateRequest(properties=PropertyValue.marshal_map(wrap_map({"name": "green"})))
    error = PluginError("timeout", partial=("green", {"name": "green", "arn": "arn:…"}))
    status = status_pb2.Status.FromString(partial_status(error, request))
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons), detail.properties["arn"]) == ("green", ["timeout"], "arn:…")
    assert detail.inputs["name"] == "green"


def test_commands_give_output_see_the_previous_one_and_clean_up(tmp_path):
    engine = Engine(Command())
    flag = tmp_path / "flag"
    made = engine.create(
        LOCAL,
        "smoke",
        {
            "create": "cat; echo $WHO; echo warn >&2",
            "update": "echo again after $PULUMI_COMMAND_STDOUT",
            "delete": f"touch {flag}",
            "environment": {"WHO": "world"},
            "stdin": "hello ",
            "dir": str(tmp_path),
            "triggers": [1],
        },
    )
    assert (made.state["stdout"], made.state["stderr"]) == ("hello world", "warn")
    same = dict(made.inputs)
    assert made.diff(same) == ([], [])
    assert made.diff({**same, "triggers": [2]}) == (["triggers"], ["triggers"])
    changed = {**same, "environment": {"WHO": "x"}}
    assert made.diff(changed) == (["environment"], [])
    assert made.update(changed, preview=True)["stdout"] is UNKNOWN
    assert made.update(changed)["stdout"] == "again after hello world"
    made.delete()
    assert flag.exists()


def test_command_is_not_run_in_preview(tmp_path):
    seen = Engine(Command()).preview(LOCAL, "smoke", {"create": f"touch {tmp_path}/ran"})
    assert seen["stdout"] is UNKNOWN
    assert not (tmp_path / "ran").exists()


def test_remote_command_goes_through_ssh_with_key_and_host_key(tmp_path, monkeypatch):
    ssh = tmp_path / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        'for last; do :; done; [ "$1" = -o ] || exit 9\n'
        "while [ $# -gt 0 ]; do\n"
        'case "$1" in -i) stat -c %a "$2"; cat "$2";; UserKnown*) cat "${1#*=}";; esac; shift\n'
        "done\n"
        'eval "$last"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    made = Engine(Command()).create(
        "command:remote:Command",
        "validate",
        {
            "connection": {"host": "10.0.0.1", "user": "ec2-user", "privateKey": "KEY", "hostKey": "ssh-ed25519 AAAA"},
            "create": "echo checked $WHAT",
            "environment": {"WHAT": "it's fine"},
        },
    )
    assert made.state["stdout"].splitlines() == ["10.0.0.1 ssh-ed25519 AAAA", "600", "KEY", "checked it's fine"]


def test_remote_command_refuses_what_it_cannot_do():
    _, failures = Engine(Command()).check(
        "command:remote:Command", "v", {"connection": {"host": "h", "password": "p"}, "create": "true"}
    )
    assert list(failures) == ["connection.password"]
