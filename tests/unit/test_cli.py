"""What the command line refuses before it talks to any cluster, and how its answer is shaped."""

import json
from pathlib import Path

import pytest

from pulumi_nodepools import cli
from pulumi_nodepools.cli import draining
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.settings import ForceRule
from pulumi_nodepools.errors import DrainBlockedError, HeldError
from tests.conformance import replays


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    def refuse(_access):
        raise AssertionError("the cluster was asked")

    monkeypatch.setattr(Client, "connect", refuse)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["drain"], "name the nodes in one way"),
        (["drain", "--pool", "worker"], "name the nodes in one way"),
        (["drain", "node-1", "--selector", "a=b"], "name the nodes in one way"),
        (["drain", "node-1", "--timeout", "30"], "--timeout: '30' is not a duration"),
        (["drain", "node-1", "--batch-size", "0"], "drain.batchSize"),
        (["drain", "node-1", "--on-timeout", "explode"], "': 'explode' is not one of 'fail', 'skip', 'force'; `node"),
        (["drain", "node-1", "--no-such-option"], "--no-such-option"),
        (["explode"], "explode"),
        ([], "nodepools --help"),
    ],
)
@replays("kubectl: selector and node name", "usage error")
def test_usage_errors_are_one_line_and_exit_1(arguments, words, capsys):
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(("error", "code"), [(DrainBlockedError("blocked"), 2), (HeldError("held by x"), 2)])
def test_a_refusal_is_one_document_with_a_diagnosis(error, code, capsys, monkeypatch):
    def refuse(_access):
        raise error

    monkeypatch.setattr(Client, "connect", refuse)
    assert cli.main(["drain", "node-1", "--output", "json"]) == code
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["outcome"], document["error"]) == ("failed", str(error))
    assert document["diagnosis"][0]["message"] == str(error)
    assert captured.err == f"error: {error}\n"


STACK = Path(__file__).parents[2] / "Pulumi.prod.yaml"


def test_user_data_is_printed_as_it_ships(capsys):
    assert cli.main(["render-user-data", str(STACK), "--pool", "worker", "--version", "7.6.1810"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("MIME-Version: 1.0\n")
    assert "nodepools.dev/validated=worker-7.6.1810" in printed.out
    assert "group=prod-worker-7.6.1810" in printed.out


def test_user_data_of_another_family_can_be_looked_at(capsys):
    words = ["render-user-data", str(STACK), "--pool", "worker", "--version", "7.6.1810", "--family"]
    assert cli.main([*words, "ubuntu"]) == 0
    assert "/etc/default/kubelet" in capsys.readouterr().out
    assert cli.main([*words, "flatcar"]) == 0
    assert json.loads(capsys.readouterr().out)["ignition"] == {"version": "3.3.0"}
    assert cli.main([*words, "bottlerocket"]) == 1
    assert "Bottlerocket cannot join by kubeadm here; use a cluster with join eks" in capsys.readouterr().err
    assert cli.main([*words, "el6"]) == 1
    assert "family 'el6' is not known; use one of el7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "version", "words"),
    [
        (STACK, "none", "has no version 'none' of a pool 'worker'; it has worker/7.6.1810"),
        (STACK.with_name("missing.yaml"), "7.6.1810", "is not a stack's configuration"),
        (Path(__file__), "7.6.1810", "is not a stack's configuration"),
    ],
)
def test_user_data_cannot_be_printed_of_what_is_not_there(file, version, words, capsys):
    assert cli.main(["render-user-data", str(file), "--pool", "worker", "--version", version]) == 1
    assert words in capsys.readouterr().err


def test_usage_errors_of_a_known_command_are_one_document_too(capsys):
    assert cli.main(["drain", "--output", "json"]) == 1
    assert "name the nodes in one way" in json.loads(capsys.readouterr().out)["error"]


def test_what_happens_when_time_is_up_and_to_jobs_is_passed_on(monkeypatch):
    seen = []

    def plan(_client, _selection, settings):
        seen.append(settings)
        return {"outcome": "drainable"}

    monkeypatch.setattr(Client, "connect", lambda _access: None)
    monkeypatch.setattr(draining, "_dry_run", plan)
    assert cli.main(["drain", "n", "--dry-run", "--on-timeout", "force", "--jobs", "wait"]) == 0
    rule = ("--force-pod-age", "1h", "--force-siblings-ready", "5m", "--force-interval", "90s")
    assert cli.main(["drain", "n", "--dry-run", "--on-timeout", "force", *rule]) == 0
    assert seen.pop().force == ForceRule(3600, 300, 90)
    assert cli.main(["drain", "n", "--dry-run", *rule]) == 1, "a rule for what is not asked for"
    assert cli.main(["drain", "n", "--dry-run", "--force"]) == 0
    assert [(one.on_timeout, one.jobs, one.bare_pods) for one in seen] == [
        ("force", "wait", "block"),
        ("fail", "evict", "allow"),
    ]


def test_help_is_no_error(capsys):
    assert cli.main(["--help"]) == 0
    assert "uncordon" in capsys.readouterr().out
