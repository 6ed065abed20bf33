"""One instance on its own: what a power-on, a gate, a reboot and cloud-init's two kinds of scripts mean here."""

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest

from pulumi_nodepools.bootstrap import Bootstrap, EksJoin, render
from pulumi_nodepools.bootstrap.signed_call import SHELL
from sandbox.fleet import systemd
from sandbox.fleet.cloud import Cloud, Instance
from sandbox.fleet.machine import MAX_POWER_ONS, Image, Machine, Record
from sandbox.fleet.metadata import MetadataServer
from sandbox.fleet.nodes import make_node
from sandbox.fleet.userdata import Part, UserData, UserDataError, parse

INSTANCE = Instance(
    "i-0123456789abcdef0", "ami-1", "group", "us-west-2a", "10.0.0.7", "ip-10-0-0-7", "m5.2xlarge", {"Name": "one"}
)
KERNEL = "3.10.0-1062.4.1.el7.x86_64"
GATE = """#!/bin/sh
folder=$NODEPOOLS_ROOT/etc/systemd/system/kubelet.service.d
mkdir -p "$folder"
printf '[Unit]\\nConditionKernelCommandLine=cgroup.memory=nokmem\\n' >"$folder/05-gate.conf"
"""
RELOAD = "systemctl daemon-reload\n"
SET_AND_REBOOT = """grep -q nokmem "$NODEPOOLS_ROOT/proc/cmdline" && exit 0
grubby --update-kernel=ALL --args=cgroup.memory=nokmem
systemctl --no-block reboot
sleep 60
"""
JOIN = """#!/bin/sh
echo ran >>"$NODEPOOLS_ROOT/var/lib/runs"
kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:00
"""


class Bench:
    def __init__(self, folder: Path) -> None:
        record = Record("ami-1", "group", "us-west-2a", "ip-10-0-0-7", "aws:///us-west-2a/i-0123456789abcdef0")
        self.machine = Machine(INSTANCE, record, folder / "root", None, lambda: None)  # type: ignore[arg-type]
        self.server = MetadataServer({INSTANCE.id: self.machine}.get)

    def boot(self, *boothooks: str, script: str = "", fault: str = "", seconds: float = 0) -> bool:
        hooks = tuple(Part(f"hook-{number}", text) for number, text in enumerate(boothooks))
        data = UserData(hooks, (Part("part-001", script),) if script else ())
        return self.machine.boot(Image(KERNEL, fault), data, seconds=seconds, urls=self.server.urls(INSTANCE.id))

    def read(self, path: str) -> str:
        return (self.machine.root / path).read_text()


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.server.close()


def test_kubelet_stays_down_behind_a_gate_whose_argument_is_missing(bench):
    assert not bench.boot(GATE + RELOAD, script=JOIN)
    assert bench.machine.record.kubeletStarts == []
    assert bench.machine.record.kubeletRefusals == 1
    assert not bench.machine.record.joined


def test_a_drop_in_counts_only_after_a_daemon_reload(bench):
    assert bench.boot(GATE, script=JOIN), "systemd has not read it"


def test_boothooks_run_at_every_boot_and_scripts_once_on_the_boot_that_gets_there(bench):
    assert bench.boot(GATE + RELOAD + 'echo hook >>"$NODEPOOLS_ROOT/var/lib/hooks"\n' + SET_AND_REBOOT, script=JOIN)
    assert bench.machine.record.powerOns == 2
    assert bench.read("var/lib/hooks") == "hook\nhook\n"
    assert bench.read("var/lib/runs") == "ran\n"


def test_a_joined_node_that_boots_again_starts_kubelet_without_its_scripts(bench):
    assert bench.boot(script=JOIN)
    bench.machine.record.joined = False
    assert bench.boot(script=JOIN)
    assert bench.machine.record.powerOns == 2
    assert bench.read("var/lib/runs") == "ran\n"
    assert bench.machine.record.joined


def test_a_loop_of_reboots_is_seen_and_cut_off(bench):
    assert not bench.boot("#!/bin/sh\nsystemctl reboot\nsleep 60\n", script=JOIN)
    assert bench.machine.record.powerOns == MAX_POWER_ONS
    assert bench.machine.record.reason == f"asked for a reboot in each of {MAX_POWER_ONS} boots"


FAMILIES_HERE = {"el7": EksJoin(), "al2": EksJoin(), "al2023": EksJoin("10.100.0.0/16"), "ubuntu": EksJoin()}


@pytest.mark.parametrize("family", FAMILIES_HERE)
@pytest.mark.parametrize(("fault", "joined"), [("", True), ("argument-not-applied", False)])
def test_what_the_library_renders_boots_once_more_and_joins_or_never_does(
    bench, monkeypatch, family, fault, joined
) -> None:
    calls: list[dict[str, str]] = []

    def forward(_headers: object, body: bytes) -> tuple[int, str, bytes]:
        calls.append(dict(parse_qsl(body.decode())))
        return 200, "text/xml", b"<Response/>"

    monkeypatch.setattr(bench.machine, "_cloud", SimpleNamespace(forward=forward))
    made = Bootstrap(
        cluster="prod",
        endpoint="https://127.0.0.1:6443",
        certificate_authority="Q0E=",
        join=FAMILIES_HERE[family],
        region="us-west-2",
        pool="worker",
        version="v2",
        group="prod-worker-v2",
        kernel_arguments=("nosmt",),
    )
    data = parse(base64.b64encode(render(family, made).encode()).decode())
    urls = bench.server.urls(INSTANCE.id)
    assert bench.machine.boot(Image(KERNEL, fault), data, seconds=0, urls=urls) is joined
    assert bench.machine.record.powerOns == 2
    assert bench.machine.record.validated is joined
    assert len(bench.machine.record.kubeletStarts) == int(joined)
    results = [call["LifecycleActionResult"] for call in calls if call["Action"] == "CompleteLifecycleAction"]
    assert results == ["CONTINUE" if joined else "ABANDON"]
    assert [call["Action"] for call in calls if call["Action"] == "CreateTags"] == ([] if joined else ["CreateTags"])


@pytest.mark.parametrize(("fault", "seconds"), [("", 0.001), ("slow", 0.01)])
def test_a_slow_image_takes_ten_times_as_long(bench, monkeypatch, fault, seconds):
    waited: list[float] = []
    monkeypatch.setattr(bench.machine.stopped, "wait", lambda timeout: bool(waited.append(timeout)))
    bench.boot(script=JOIN, fault=fault, seconds=0.001)
    assert waited == [pytest.approx(seconds)]


def test_edits_of_the_boot_loader_can_be_lost(bench):
    once = 'test -e "$NODEPOOLS_ROOT/var/lib/once" && exit 0\n: >"$NODEPOOLS_ROOT/var/lib/once"\n'
    bench.boot("#!/bin/sh\n" + once + SET_AND_REBOOT, fault="argument-not-applied")
    assert bench.machine.record.powerOns == 2
    assert "nokmem" not in bench.machine.record.cmdline


@pytest.mark.parametrize(("argument", "readable"), [("", 0), ("cgroup.memory=nokmem", 1)])
def test_the_slab_list_of_a_cgroup_is_readable_only_while_kernel_memory_is_accounted(bench, argument, readable):
    setting = f"grubby --update-kernel=ALL --args={argument}; systemctl reboot; sleep 60" if argument else ""
    hook = f'#!/bin/sh\ngrep -q nokmem "$NODEPOOLS_ROOT/proc/cmdline" && exit 0\n{setting}\n'
    probe = """#!/bin/sh
child=$NODEPOOLS_ROOT/sys/fs/cgroup/memory/probe
mkdir "$child" && echo 1 >"$child/memory.kmem.limit_in_bytes"
cat "$child/memory.kmem.slabinfo" >/dev/null 2>"$NODEPOOLS_ROOT/var/lib/error"
echo $? >"$NODEPOOLS_ROOT/var/lib/status"
rmdir "$child"
"""
    bench.boot(hook, script=probe)
    assert int(bench.read("var/lib/status")) == readable
    assert ("Input/output error" in bench.read("var/lib/error")) == bool(readable)
    assert not (bench.machine.root / "sys/fs/cgroup/memory/probe").exists()


def test_metadata_needs_a_token(bench):
    script = """#!/bin/sh
cd "$NODEPOOLS_ROOT/var/lib"
url=$NODEPOOLS_METADATA/latest
curl -s -o none -w '%{http_code}' "$url/meta-data/instance-id" >without
token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$url/api/token")
curl -sf -H "X-aws-ec2-metadata-token: $token" "$url/meta-data/instance-id" >with
curl -sf -H "X-aws-ec2-metadata-token: $token" "$url/meta-data/tags/instance/Name" >tag
"""
    bench.boot(script=script)
    assert [bench.read(f"var/lib/{name}") for name in ("without", "with", "tag")] == ["401", INSTANCE.id, "one"]


@pytest.mark.parametrize(
    ("line", "cmdline", "holds"),
    [
        ("ConditionKernelCommandLine=a=b", "ro a=b", True),
        ("ConditionKernelCommandLine=a=b", "ro a=bc", False),
        ("ConditionKernelCommandLine=a=b", "ro xa=b", False),
        ("ConditionKernelCommandLine=a=b", "ro a=c,b", False),
        ("ConditionKernelCommandLine=a=b", 'ro "a=b"', True),
        ("ConditionKernelCommandLine=a", "ro a=b", True),
        ("ConditionKernelCommandLine=a", "ro ab", False),
        ("ConditionKernelCommandLine=!a=b", "ro a=b", False),
        ("ConditionKernelCommandLine=!a=b", "ro", True),
        ("ConditionPathExists=!/", "ro", False),
        ("ConditionKernelCommandLine=a=b\nConditionKernelCommandLine=", "ro", True),
        ("ConditionKernelCommandLine=a=b\nConditionKernelCommandLine=c", "ro c", False),
        ("[Service]\nConditionKernelCommandLine=a=b", "ro", True),
    ],
)
def test_conditions_as_systemd_reads_them(tmp_path, line, cmdline, holds):
    folder = tmp_path / "etc/systemd/system/kubelet.service.d"
    folder.mkdir(parents=True)
    (folder / "10.conf").write_text(f"[Unit]\n{line}\n")
    conditions = systemd.read_conditions(tmp_path, "kubelet.service")
    assert all(one.holds(tmp_path, cmdline) for one in conditions) == holds


@pytest.mark.parametrize("line", ["ConditionKernelComandLine=a", "ConditionHost=x", "ConditionKernelCommandLine=|a"])
def test_a_condition_that_is_not_imitated_is_an_error(tmp_path, line):
    folder = tmp_path / "etc/systemd/system/kubelet.service.d"
    folder.mkdir(parents=True)
    (folder / "10.conf").write_text(f"[Unit]\n{line}\n")
    with pytest.raises(systemd.UnknownConditionError, match="not imitated"):
        systemd.read_conditions(tmp_path, "kubelet.service")


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_user_data_is_taken_apart_as_cloud_init_does():
    def part(kind: str, name: str, body: str) -> str:
        return f'--B\nContent-Type: text/{kind}\nContent-Disposition: attachment; filename="{name}"\n\n{body}\n'

    text = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n\n'
    text += part("x-shellscript", "20-b", "#!/bin/sh\nb") + part("cloud-boothook", "9", "#cloud-boothook\n#!/bin/sh\nh")
    text += part("x-shellscript", "10-a", "#!/bin/sh\na") + "--B--\n"
    data = parse(encode(text))
    assert [part.name for part in data.scripts] == ["10-a", "20-b"], "run-parts sorts by name"
    assert data.boothooks[0].text.startswith("#!/bin/sh\nh"), "the marker line is not part of the script"
    assert parse(base64.b64encode(gzip.compress(text.encode())).decode()) == data


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("%%%", "not base64"),
        (base64.b64encode(b"\x1f\x8bdamaged").decode(), "not base64 of text, plain or gzip"),
        (encode("hello"), "neither"),
        (encode("Content-Type: text/cloud-config\n\na: b"), "type"),
    ],
)
def test_user_data_that_cannot_be_run_is_named(encoded, message):
    with pytest.raises(UserDataError, match=message):
        parse(encoded)


def test_no_user_data_is_no_error():
    assert parse("") == UserData((), ())


def test_labels_and_taints_come_from_kubelet_arguments_alone():
    arguments = "--node-labels=a=1,b= --register-with-taints=x=y:NoSchedule,z:NoExecute --node-labels=a=2 --max-pods=5"
    node = make_node(INSTANCE, kernel=KERNEL, kubelet_arguments=arguments, region="us-west-2")
    assert node["metadata"]["labels"].items() >= {"a": "2", "b": ""}.items()
    assert node["spec"]["taints"] == [
        {"key": "x", "value": "y", "effect": "NoSchedule"},
        {"key": "z", "value": "", "effect": "NoExecute"},
    ]


SIGNED = """#!/bin/sh
region=us-west-2
@SHELL@
aws_call ec2 TerminateInstances InstanceId.1=i-1 2>"$NODEPOOLS_ROOT/var/lib/other"
aws_call ec2 CreateTags ResourceId.1=i-1 >"$NODEPOOLS_ROOT/var/lib/own" && echo done >>"$NODEPOOLS_ROOT/var/lib/own"
"""


def test_an_instance_may_call_only_what_a_nodes_role_allows(bench, monkeypatch):
    cloud = Cloud("http://127.0.0.1:9")
    monkeypatch.setattr(
        cloud._pool, "request", lambda *_args, **_more: SimpleNamespace(status=200, headers={}, data=b"")
    )
    monkeypatch.setattr(bench.machine, "_cloud", cloud)
    bench.boot(script=SIGNED.replace("@SHELL@", SHELL))
    assert "ec2 TerminateInstances: HTTP 403 AccessDenied" in bench.read("var/lib/other")
    assert "done" in bench.read("var/lib/own")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('("AWS4" +', '("AWS5" +', "SignatureDoesNotMatch"),
        ('headers["x-amz-security-token"] = keys["Token"]', 'headers["x-amz-security-token"] = "x"', "InvalidClient"),
        ('headers["authorization"] =', 'headers["unsigned"] =', "MissingAuthenticationToken"),
    ],
)
def test_a_call_that_is_not_signed_by_the_role_is_refused(bench, monkeypatch, old, new, code):
    monkeypatch.setattr(bench.machine, "_cloud", None)
    assert old in SHELL
    bench.boot(script=SIGNED.replace("@SHELL@", SHELL.replace(old, new)))
    assert f"HTTP 403 {code}" in bench.read("var/lib/other")
    assert "done" not in bench.read("var/lib/own")
