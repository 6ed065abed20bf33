"""What the YAML says of nodes: parts of their user data, their family, tags for the autoscaler, arguments."""

from typing import Any

import pytest

from pulumi_nodepools.config import parse
from pulumi_nodepools.errors import ConfigError
from tests.unit.config_case import POOL, VERSION, edited, problems, prod

SCRIPT = {"type": "shell-script", "name": "mounts", "content": "#!/bin/sh\nmount -a\n"}


VALIDATOR = ((*POOL, "startupValidator"), {"image": "python:3.12-slim@sha256:" + "a" * 64})


def own_parts(*parts: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    return (*POOL, "userData"), {"parts": list(parts)}


def test_own_parts_of_a_version_replace_those_of_the_pool_whole() -> None:
    other = {**SCRIPT, "name": "other"}
    config = parse(edited(own_parts(SCRIPT)))
    assert [part.name for part in config.pools["worker"].parts("7.6.1810")] == ["mounts"]
    config = parse(edited(own_parts(SCRIPT), ((*VERSION, "userData"), {"parts": [other]})))
    assert [part.name for part in config.pools["worker"].parts("7.6.1810")] == ["other"]
    assert parse(prod()).pools["worker"].parts("7.6.1810") == ()


def test_a_part_s_file_is_read_where_the_stack_is(tmp_path) -> None:
    (tmp_path / "user-data").mkdir()
    (tmp_path / "user-data/mounts.sh").write_text("#!/bin/sh\nmount -a\n")
    named = {"type": "shell-script", "name": "mounts", "file": "user-data/mounts.sh"}
    (part,) = parse(edited(own_parts(named)), tmp_path).pools["worker"].parts("7.6.1810")
    assert (part.type, part.name, part.content) == ("shell-script", "mounts", SCRIPT["content"])


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({**SCRIPT, "type": "script"}, '.type: "script" is not known; write one of'),
        ({**SCRIPT, "file": "x"}, ": has both content and file; keep one of them"),
        ({"type": "boothook", "name": "a"}, ": has no text; write content or file"),
        (
            {"type": "boothook", "name": "a", "file": "none.sh"},
            ': file "none.sh" cannot be read: No such file',
        ),
        ({"type": "boothook", "name": "a", "file": "bytes"}, ': file "bytes" is not UTF-8 text'),
        ({"type": "boothook", "name": "a", "file": "large"}, ': file "large" is larger than 1048576 bytes; user data'),
        (
            {"type": "boothook", "name": "a", "fil": "x", "content": "#!/bin/sh"},
            ".fil: unknown key; did you mean file?",
        ),
        ({"type": "boothook", "content": "#!/bin/sh"}, ".name: missing; write a name of its own, such as ntp"),
        ({**SCRIPT, "content": "mount -a"}, ": part 'mounts' line 1: does not begin with #! and an interpreter"),
        (
            {**SCRIPT, "content": "#!/bin/sh\nk=AKIAIOSFODNN7EXAMPLE"},
            ": part 'mounts' line 2: holds an AWS access key,",
        ),
        ({**SCRIPT, "type": "cloud-config", "content": "#cloud-config\nruncmdd: []"}, "did you mean runcmd?"),
    ],
)
def test_a_bad_part_is_refused_where_it_stands(part, line, tmp_path) -> None:
    (tmp_path / "bytes").write_bytes(b"#!/bin/sh\n\xff")
    (tmp_path / "large").write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(ConfigError) as caught:
        parse(edited(own_parts(SCRIPT | {"name": "good"}, part)), tmp_path)
    (_, found) = str(caught.value).splitlines()
    assert found.startswith("  pools.worker.userData.parts[1]")
    assert line in found


def test_a_second_way_to_reboot_names_the_version_whose_arguments_it_stands_beside() -> None:
    restart = {**SCRIPT, "content": "#!/bin/sh\nreboot\n"}
    parse(edited(own_parts(restart)))
    (line,) = problems(edited(own_parts(restart), ((*VERSION, "kernel"), {"arguments": ["nosmt"]})))
    assert line.startswith("pools.worker: version 7.6.1810: part 'mounts' line 2: reboot is a second way to reboot")


def test_parts_of_one_name_are_refused() -> None:
    (line,) = problems(edited(own_parts(SCRIPT, SCRIPT)))
    assert "part name 'mounts' is given 2 times" in line


def test_a_family_that_joins_in_another_way_is_refused() -> None:
    (line,) = problems(edited(((*VERSION, "osFamily"), "bottlerocket"), ((*POOL, "startupTaint"), True), VALIDATOR))
    told = "Bottlerocket cannot join by kubeadm here; it needs cluster.join.kind eks"
    assert line == f'pools.worker.versions."7.6.1810".osFamily: {told}'


def test_a_family_without_a_shell_needs_somebody_else_to_prove_it() -> None:
    eks = (("cluster", "join"), {"kind": "eks"})
    (line,) = problems(edited(eks, ((*VERSION, "osFamily"), "bottlerocket")))
    assert "version 7.6.1810: a node of Bottlerocket has no shell to prove itself and answer a launch hook" in line
    parse(edited(eks, ((*VERSION, "osFamily"), "bottlerocket"), ((*VERSION, "startupTaint"), True), VALIDATOR))


def test_should_wait_is_refused_with_the_line_that_says_it() -> None:
    part = {"type": "settings", "name": "wait", "content": "[settings.autoscaling]\nshould-wait = true\n"}
    changes = (((*VERSION, "osFamily"), "bottlerocket"), ((*VERSION, "startupTaint"), True), VALIDATOR)
    (line,) = problems(edited((("cluster", "join"), {"kind": "eks"}), *changes, own_parts(part)))
    assert "part 'wait' line 2: sets settings.autoscaling.should-wait" in line
    assert "would wait for ever; remove it" in line


def test_parts_that_a_family_cannot_read_are_refused() -> None:
    (line,) = problems(edited(own_parts(SCRIPT), ((*VERSION, "osFamily"), "flatcar")))
    assert "part 'mounts': Flatcar cannot read a part of type shell-script" in line


ENABLED = {"k8s.io/cluster-autoscaler/enabled": "true"}


@pytest.mark.parametrize(
    ("tags", "labels", "words"),
    [
        (
            ENABLED,
            {f"l{number}": "x" for number in range(42)},
            "the group would have 51 tags, AWS takes 50: each label",
        ),
        (
            ENABLED,
            {"example.com/" + "a" * 63: "x", f"{'b' * 60}.example.com/" + "a" * 40: "x"},
            "AWS takes 128: shorten",
        ),
    ],
)
def test_tags_for_the_autoscaler_that_aws_does_not_take_are_refused(tags, labels, words) -> None:
    (line,) = problems(edited(((*POOL, "tags"), tags), ((*POOL, "labels"), labels)))
    assert line.startswith('pools.worker.versions."7.6.1810".tags: ')
    assert words in line
    assert parse(edited(((*POOL, "tags"), {}), ((*POOL, "labels"), labels)))


def test_arguments_that_exclude_each_other_are_refused_with_both() -> None:
    (line,) = problems(edited(((*VERSION, "kernel"), {"arguments": ["nosmt", "mitigations=off", "mitigations=auto"]})))
    assert line == (
        'pools.worker.versions."7.6.1810".kernel.arguments: mitigations=off and mitigations=auto: the kernel takes the '
        "last mitigations only, and the gate asks for all; keep one"
    )
    parse(edited(((*VERSION, "kernel"), {"arguments": ["console=tty0", "console=ttyS0", "cgroup.memory=nokmem"]})))
