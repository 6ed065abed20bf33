"""What is shipped, judged by the programs that will read it on a node: cloud-init, the shell, systemd, MIME parsers."""

import json
import re
from pathlib import Path

import pytest
import yaml

from pulumi_nodepools.bootstrap import FAMILIES
from pulumi_nodepools.bootstrap.cloud_config_keys import KEYS
from tests.tools import ask, tool

from .conftest import CLOUD_INIT, NOKMEM, bootstrap
from .test_user_parts import sections

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.mime"))
SCRIPTS = ("text/x-shellscript", "text/cloud-boothook")
GATE, REFUSED = "05-nodepools-gate.conf", "06-nodepools-refused.conf"
UNIT = "[Unit]\nDescription={0}\n[Service]\nExecStart=/bin/true\n"
SCHEMA = Path("/usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json")


def shipped(*kinds: str) -> list:
    """Every part of these types of every golden file."""
    found = [(file.stem, name, kind, text) for file in GOLDEN for kind, name, text in sections(file.read_text())]
    return [pytest.param(text, id=f"{stem}:{name}") for stem, name, kind, text in found if kind in kinds]


def judged(text: str, folder: Path):
    file = folder / "part.yaml"
    file.write_text(text)
    return ask("cloud-init", "schema", "-c", file)


@pytest.mark.parametrize("text", shipped("text/cloud-config"))
def test_cloud_init_takes_every_cloud_config_part(text, tmp_path):
    done = judged(text, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Valid" in done.stdout + done.stderr


def test_a_cloud_config_part_is_among_them():
    assert shipped("text/cloud-config")


def test_cloud_init_can_say_no(tmp_path):
    done = judged("#cloud-config\npower_state:\n  mode: rebooot\n", tmp_path)
    assert done.returncode != 0
    assert "rebooot" in done.stdout + done.stderr


def test_every_key_of_cloud_init_s_own_schema_is_known():
    tool("cloud-init")
    schema = json.loads(SCHEMA.read_text())
    definitions = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["allOf"]]
    found = {key for one in definitions for key in one.get("properties", {})}
    assert len(found) > 50
    assert found <= KEYS


@pytest.mark.parametrize("text", shipped(*SCRIPTS))
def test_shellcheck_finds_nothing(text, tmp_path):
    file = tmp_path / "part.sh"
    file.write_text(text.removeprefix("#cloud-boothook\n"))
    done = ask("shellcheck", "-s", "sh", file)
    assert done.returncode == 0, done.stdout


def test_shellcheck_can_say_no(tmp_path):
    file = tmp_path / "part.sh"
    file.write_text("#!/bin/sh\nrm -r $missing\n")
    assert ask("shellcheck", "-s", "sh", file).returncode == 1


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_standard_library_reads_every_part_back(file):
    found = sections(file.read_text())
    assert [name for _, name, _ in found] == sorted(name for _, name, _ in found), "the order in which scripts run"
    known = {*SCRIPTS, "text/cloud-config", "application/node.eks.aws"}
    assert {kind for kind, _, _ in found} <= known
    for kind, _, text in found:
        if kind in SCRIPTS:
            assert text.removeprefix("#cloud-boothook\n").startswith("#!")
            assert text.endswith("\n")
        else:
            assert isinstance(yaml.safe_load(text), dict)


def verified(folder: Path, unit: str):
    (folder / unit).write_text(UNIT.format(unit))
    return ask("systemd-analyze", "verify", "--recursive-errors=no", folder / unit)


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_systemd_knows_every_directive_of_the_gate(machine, family):
    machine.boothook(bootstrap(kernel_arguments=(NOKMEM, "nosmt")), family)
    for unit in FAMILIES[family].join_units:
        gate = machine.dropin(GATE, unit)
        done = verified(gate.parent.parent, unit)
        assert done.returncode == 0, done.stderr
        assert "nodepools" not in done.stderr, done.stderr
        with gate.open("a") as text:
            text.write("ConditionKernelComandLine=x\n")
        assert GATE in verified(gate.parent.parent, unit).stderr, "a misspelt directive must be seen"


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_systemd_knows_every_directive_of_the_refusal_and_it_never_holds(machine, family):
    machine.join(bootstrap(minimum_kernel="99"), family)
    for unit in FAMILIES[family].join_units:
        refusal = machine.dropin(REFUSED, unit)
        done = verified(refusal.parent.parent, unit)
        assert (done.returncode, "nodepools" in done.stderr) == (0, False), done.stderr
        (condition,) = re.findall(r"^Condition.*$", refusal.read_text(), re.MULTILINE)
        assert ask("systemd-analyze", "condition", condition).returncode == 1


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
def test_the_condition_holds_for_the_exact_word_only(machine, cmdline, holds):
    machine.boothook(bootstrap())
    (condition,) = re.findall(r"^Condition.*$", machine.dropin(GATE).read_text(), re.MULTILINE)
    done = ask("systemd-analyze", "condition", condition, SYSTEMD_PROC_CMDLINE=cmdline)
    assert (done.returncode == 0) is holds, done.stderr
