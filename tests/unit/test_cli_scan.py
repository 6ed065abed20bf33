"""`nodepools soak scan` over files and standard input: exit codes, one document, refusals before anything is read."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from pulumi_nodepools import cli

CREATE = b"[Tue Apr 28 12:49:09 2020] kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12\n"
EOF = b'2020-04-28T12:50:09Z process_linux.go:319: getting the final child\'s pid from pipe caused "EOF"\n'


@pytest.fixture
def log(tmp_path):
    def write(*lines, name="messages"):
        path = tmp_path / name
        path.write_bytes(b"".join(lines))
        return str(path)

    return write


def test_a_clean_log_is_exit_0(log, capsys):
    assert cli.main(["soak", "scan", log(b"[ 1.000000] Initializing cgroup subsys memory\n")]) == 0
    assert "clean: 1 lines of 1 logs; signatures: none" in capsys.readouterr().out


def test_signatures_are_exit_2_with_line_node_time_and_diagnosis(log, capsys):
    assert cli.main(["soak", "scan", log(CREATE), "--node", "node07", "--output", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "found"
    (found,) = document["findings"]
    assert (found["weight"], found["node"], found["time"]) == ("definite", "node07", "2020-04-28T12:49:09Z")
    assert found["line"].startswith("kmem_cache_create(nf_conntrack")
    (entry,) = document["diagnosis"]
    assert "cgroup.memory=nokmem" in entry["fix"]
    assert entry["numbers"] == {"lines": 1}


def test_logs_of_one_node_raise_each_other_across_files(log, capsys):
    kernel, pod = log(CREATE), log(EOF, name="pod.log")
    assert cli.main(["soak", "scan", kernel, pod, "--output", "json"]) == 2
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(one["signature"], one["weight"], one["near"]) for one in found] == [
        ("k-cache-create", "definite", ""),
        ("u-runc-eof", "strong", "k-cache-create"),
    ]


def test_standard_input_may_be_a_bare_kernel_log(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(CREATE.partition(b"] ")[2])))
    assert cli.main(["soak", "scan", "-", "--origin", "kernel"]) == 2
    out = capsys.readouterr().out
    assert "standard input" in out
    assert "definite: kmem/k-cache-create" in out


def test_a_flood_is_counted_whole_and_shown_in_part(log, capsys):
    # Different lines, or they would be one finding.
    flood = b"".join(EOF.replace(b"319", b"%d" % number) for number in range(5000))
    assert cli.main(["soak", "scan", log(flood), "--output", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"kmem/u-runc-eof": 5000}
    assert (len(document["findings"]), document["leftOut"]) == (1000, 4000)


def test_lines_cannot_speak_to_the_terminal(log, capsys):
    hidden = EOF.replace(b"process_linux", b"\x1b]0;owned\x07\x08process_linux")
    assert cli.main(["soak", "scan", log(hidden)]) == 2
    assert {"\x1b", "\x07", "\x08"} & set(capsys.readouterr().out) == set()


def test_own_signatures_stand_beside_ours(log, capsys, tmp_path):
    sets = tmp_path / "sets.yaml"
    sets.write_text(
        "- name: xfs\n  patterns: [{id: hang, kind: kernel, pattern: '^XFS .*deadlock', weight: definite}]\n"
    )
    path = log(b"[ 1.000000] XFS (sda1): possible memory allocation deadlock\n", CREATE)
    assert cli.main(["soak", "scan", path, "--signatures", str(sets), "--output", "json"]) == 2
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {one["set"] for one in found} == {"xfs", "kmem"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to look at"),
        (["no-such-file"], "no-such-file cannot be read: No such file"),
        (["-", "no-such-file"], "no-such-file cannot be read"),
        (["-", "--signatures", "no-such-file"], "--signatures no-such-file cannot be read"),
        (["-", "--selector", "app=x"], "name their namespace with --pods"),
        (["--pods", "ci", "--since", "1 day"], "--since: '1 day' is not a duration"),
        (["-", "--origin", "moon"], "--origin"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_1(arguments, words, capsys):
    assert cli.main(["soak", "scan", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_a_bad_set_is_refused_with_its_place(tmp_path, capsys):
    sets = tmp_path / "sets.yaml"
    sets.write_text("- name: all\n  patterns: [{id: any, kind: kernel, pattern: '.*', weight: weak}]\n")
    assert cli.main(["soak", "scan", "-", "--signatures", str(sets)]) == 1
    assert "sets.yaml[0].patterns[0].pattern: '.*' matches the empty string" in capsys.readouterr().err
