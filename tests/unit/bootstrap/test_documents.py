"""Families without cloud-init: what Flatcar's Ignition and Bottlerocket's settings say, by the formats' own readers."""

import base64
import gzip
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_nodepools.bootstrap import EksJoin, UserPart, packed, render
from pulumi_nodepools.bootstrap.curl_call import SHELL
from pulumi_nodepools.errors import ConfigError
from tests.node_cloud import KEYS, Cloud
from tests.tools import ask, tool

from .conftest import NOKMEM, bootstrap, eks

# The keys of Ignition's specification 3.3.0 that are used here; it refuses configurations with others.
IGNITION_KEYS = {
    "": {"ignition", "kernelArguments", "storage", "systemd"},
    "ignition": {"version"},
    "kernelArguments": {"shouldExist"},
    "storage": {"files"},
    "storage.files": {"path", "mode", "contents"},
    "storage.files.contents": {"source", "compression"},
    "systemd": {"units"},
    "systemd.units": {"name", "enabled", "contents", "dropins"},
    "systemd.units.dropins": {"name", "contents"},
}


def flatcar(**changes) -> dict:
    made = bootstrap(**{"minimum_kernel": None, "kernel_arguments": (NOKMEM, "nosmt")} | changes)
    found: dict = json.loads(render("flatcar", made))
    return found


def script(configuration: dict) -> str:
    (file,) = configuration["storage"]["files"]
    assert (file["path"], file["mode"], file["contents"]["compression"]) == ("/opt/nodepools/join.sh", 0o755, "gzip")
    data = file["contents"]["source"].removeprefix("data:;base64,")
    return gzip.decompress(base64.b64decode(data, validate=True)).decode()


def unknown(value: object, at: str = "") -> Iterator[str]:
    """Keys that Ignition does not know, by their place."""
    if isinstance(value, dict):
        yield from (f"{at}.{key}" for key in value if key not in IGNITION_KEYS[at])
        for key, inner in value.items():
            if isinstance(inner, dict | list) and key != "shouldExist":
                yield from unknown(inner, f"{at}.{key}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from unknown(inner, at)


def test_ignition_sets_the_arguments_and_the_gate_asks_for_them():
    made = flatcar()
    assert made["ignition"] == {"version": "3.3.0"}
    assert made["kernelArguments"] == {"shouldExist": [NOKMEM, "nosmt"]}
    kubelet, join = made["systemd"]["units"]
    assert kubelet["name"] == "kubelet.service"
    gate = {one["name"]: one["contents"] for one in kubelet["dropins"]}["05-nodepools-gate.conf"]
    assert gate == f"[Unit]\nConditionKernelCommandLine={NOKMEM}\nConditionKernelCommandLine=nosmt\n"
    assert (join["name"], join["enabled"]) == ("nodepools-join.service", True)
    assert list(unknown(made)) == []
    assert list(unknown({**made, "kernel_arguments": []})) == [".kernel_arguments"], (
        "Butane's spelling is not Ignition's"
    )


def test_without_arguments_there_is_no_gate_and_nothing_is_set():
    made = flatcar(kernel_arguments=())
    assert "kernelArguments" not in made
    assert "ConditionKernelCommandLine" not in json.dumps(made)


def test_systemd_knows_every_directive_of_ignition_s_units(tmp_path):
    for unit in flatcar()["systemd"]["units"]:
        file = tmp_path / unit["name"]
        file.write_text(
            unit.get("contents", "[Service]\nExecStart=/bin/true\n").replace("/opt/nodepools/join.sh", "/bin/true")
        )
        folder = tmp_path / f"{unit['name']}.d"
        folder.mkdir()
        for dropin in unit.get("dropins", ()):
            (folder / dropin["name"]).write_text(dropin["contents"])
        done = ask("systemd-analyze", "verify", "--recursive-errors=no", file)
        assert (done.returncode, str(tmp_path) in done.stderr) == (0, False), done.stderr
        file.write_text(file.read_text().replace("[Service]\n", "[Service]\nExecStrat=x\n"))
        assert "ExecStrat" in ask("systemd-analyze", "verify", "--recursive-errors=no", file).stderr


def test_flatcar_s_join_script_is_the_shared_one_and_passes_shellcheck(tmp_path):
    file = tmp_path / "join.sh"
    file.write_text(script(flatcar()))
    done = ask("shellcheck", "-s", "sh", file)
    assert done.returncode == 0, done.stdout
    assert "python" not in file.read_text(), "its image has none"


def test_a_validated_flatcar_node_joins_and_one_without_the_argument_does_not(machine, cloud):
    made = flatcar(kernel_arguments=("nosmt",))
    machine.kernel = "6.6.95-flatcar"
    seams = {"NODEPOOLS_METADATA": cloud.metadata, "NODEPOOLS_ENDPOINT": cloud.endpoint}
    done = machine.run(script(made), **seams)
    assert (done.returncode, cloud.hook_results) == (1, ["ABANDON"]), done.stderr
    assert cloud.refusals == ["kernel argument nosmt is not in /proc/cmdline"]
    assert not machine.calls("kubeadm")
    machine.cmdline += " nosmt"
    done = machine.run(script(made), **seams)
    assert (done.returncode, cloud.hook_results[1:]) == (0, ["CONTINUE"]), done.stderr
    assert cloud.join_token in machine.calls("kubeadm")[0]
    assert cloud.faults == []
    assert "nodepools.dev/validated" in (machine.root / "etc/default/kubelet").read_text()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as made:
        yield made


def called(cloud: Cloud, *words: str) -> subprocess.CompletedProcess[str]:
    """aws_call in a shell of its own, with the functions that stand before it in a join script."""
    before = 'region=us-west-2\nsay() { echo "$*" >&2; }\n' + script(flatcar()).partition("imds() {")[1]
    imds = script(flatcar()).partition("imds() {")[2].partition("\n}\n")[0] + "\n}\n"
    metadata = f"metadata={cloud.metadata}\n"
    return subprocess.run(
        ["sh", "-c", metadata + before + imds + SHELL + 'aws_call "$@"', "sh", *words],
        env={"PATH": f"{Path(tool('curl')).parent}:/usr/bin:/bin", "NODEPOOLS_ENDPOINT": cloud.endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_curl_s_own_signature_holds_and_values_arrive_whole(cloud):
    odd = "a b=c&d/+%~\"quoted\" \\ 'x' @y"
    tagged = called(cloud, "ec2", "CreateTags", "ResourceId.1=i-1", f"Tag.1.Value={odd}")
    token = called(cloud, "ssm", "GetParameter", "Name=/a/b", "WithDecryption=true")
    secret = called(cloud, "secretsmanager", "GetSecretValue", "SecretId=prod/join")
    assert (tagged.returncode, token.returncode, secret.returncode) == (0, 0, 0), tagged.stderr + token.stderr
    assert cloud.faults == []
    assert cloud.calls[0].parameters["Tag.1.Value"] == odd
    assert cloud.calls[1].parameters == {"Name": "/a/b", "WithDecryption": True}
    assert cloud.calls[2].parameters == {"SecretId": "prod/join"}
    assert token.stdout.strip() == secret.stdout.strip() == cloud.join_token
    services = [(call.service, call.region) for call in cloud.calls]
    assert services == [("ec2", "us-west-2"), ("ssm", "us-west-2"), ("secretsmanager", "us-west-2")]


def test_a_call_that_is_refused_says_which_and_why_and_shows_no_key(cloud):
    cloud.denied = {"GetParameter"}
    done = called(cloud, "ssm", "GetParameter", "Name=/a/b")
    assert done.returncode == 1
    assert "ssm GetParameter: " in done.stderr
    assert "not authorized to perform" in done.stderr
    assert not any(key in done.stderr for key in (KEYS.secret, KEYS.token))


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("flatcar", {"join": EksJoin(), "certificate_authority": "Q0E="}, "Flatcar cannot join by eks here"),
        (
            "flatcar",
            {"user_parts": (UserPart("boothook", "a", "#!/bin/sh\n"),)},
            "it reads Ignition alone; put",
        ),
        ("bottlerocket", {}, "Bottlerocket cannot join by kubeadm here; use a cluster with join eks"),
        (
            "el9",
            {"user_parts": (UserPart("settings", "a", "[settings.ntp]\n"),)},
            "cannot read a part of type sett",
        ),
    ],
)
def test_what_a_family_cannot_read_is_refused(family, changes, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        render(family, bootstrap(**{"minimum_kernel": None, "kernel_arguments": ()} | changes))


def settings(*texts: str, **changes) -> dict:
    parts = tuple(UserPart("settings", f"part{number}", text) for number, text in enumerate(texts))
    made = eks(**{"minimum_kernel": None, "user_parts": parts} | changes)
    text = render("bottlerocket", made)
    assert packed(made, text) == text.encode()
    found: dict = tomllib.loads(text)["settings"]
    return found


def test_bottlerocket_restarts_until_its_kernel_has_the_arguments():
    made = settings(kernel_arguments=("cgroup.memory=nosocket", NOKMEM, "nosmt", "a.b=c=d"))
    assert made["boot"] == {
        "reboot-to-reconcile": True,
        "kernel-parameters": {"cgroup.memory": ["nosocket", "nokmem"], "nosmt": [], "a.b": ["c=d"]},
    }
    assert "boot" not in settings(kernel_arguments=())


def test_bottlerocket_registers_with_labels_and_a_taint_that_others_take_away():
    made = settings(taints=("dedicated=ci:NoSchedule", "dedicated:NoExecute"))["kubernetes"]
    assert (made["cluster-name"], made["api-server"]) == ("prod", "https://api.prod.example:6443")
    assert made["cluster-certificate"] == "Q0E="
    own = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "7.7.1908"}
    assert made["node-labels"] == {"team": "ci", **own}, "the evidence is for the cluster to add"
    startup = "startup-taint.cluster-autoscaler.kubernetes.io/nodepools"
    assert made["node-taints"] == {"dedicated": ["ci:NoSchedule", ":NoExecute"], startup: [":NoSchedule"]}
    once = settings(taints=(f"{startup}:NoSchedule",))["kubernetes"]["node-taints"]
    assert once == {startup: [":NoSchedule"]}


def test_own_settings_are_merged_in():
    assert settings('[settings.ntp]\ntime-servers = ["a"]\n')["ntp"] == {"time-servers": ["a"]}
    made = settings("[settings.motd]\na = 1\n\n[settings.kubernetes]\nmax-pods = 58\n[settings.ntp]\nb = 2\n")
    assert (made["kubernetes"]["max-pods"], made["kubernetes"]["cluster-name"]) == (58, "prod")
    assert (made["motd"], made["ntp"]) == ({"a": 1}, {"b": 2})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[settings.autoscaling]\nshould-wait = true\n",
            "line 2: sets settings.autoscaling.should-wait: the node",
        ),
        ("[settings.boot]\nreboot-to-reconcile = false\n", "line 1: sets settings.boot, which kernel.arguments write"),
        ('[settings.kubernetes]\ncluster-name = "x"\n', "line 2: sets settings.kubernetes.cluster-name, which this"),
        ("[setings.ntp]\n", "line 1: has 'setings' beside settings"),
        ("[settings.ntp]\nhunter2 = \n", "line 2: is no TOML"),
        ('[settings.motd]\nx = "AKIAIOSFODNN7EXAMPLE"\n', "line 2: holds an AWS access key"),
        ("[settings]\nkubernetes.max-pods = 58\n", "cannot be joined with the settings of this library"),
    ],
)
def test_settings_that_would_break_the_node_are_refused(text, words):
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert f"part 'part0' {words}" in str(caught.value) or f"part 'part0': {words}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_should_wait_that_is_off_is_no_error():
    assert settings("[settings.autoscaling]\nshould-wait = false\n")["autoscaling"] == {"should-wait": False}


def test_bottlerocket_takes_one_part_and_no_flags():
    with pytest.raises(ConfigError, match="2 parts; Bottlerocket reads one document"):
        settings("[settings.ntp]\n", "[settings.motd]\n")
    with pytest.raises(ConfigError, match="so '--max-pods=58' has no place; see userData"):
        settings(kubelet_arguments=("--max-pods=58",))
