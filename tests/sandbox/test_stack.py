"""The sandbox as a whole: what it starts, what it exports, and that nothing stays."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from sandbox import cli
from sandbox.processes import start_time
from sandbox.stack import ROOT_VARIABLE, Sandbox

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("stack")) as sandbox:
        yield sandbox


def pids(sandbox: Sandbox) -> dict[str, int]:
    return {path.stem: json.loads(path.read_text())["pid"] for path in (sandbox.root / "pids").glob("*.json")}


def test_environment_leads_every_tool_into_the_sandbox(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "of the user")
    env = sandbox.env
    assert "AWS_PROFILE" not in env
    assert "PULUMI_ACCESS_TOKEN" not in env
    for command, expected in (
        (["kubectl", "get", "namespace", "kube-system", "-o", "name"], "namespace/kube-system"),
        (["pulumi", "whoami", "--verbose"], env["PULUMI_BACKEND_URL"]),
    ):
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert expected in result.stdout, result.stderr
    monkeypatch.delenv("AWS_PROFILE")
    sts = boto3.client(
        "sts",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    assert sts.get_caller_identity()["Account"].isdigit()


def test_second_up_is_a_no_op_that_says_so(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(sandbox.root))
    before = pids(sandbox)
    assert cli.main(["up"]) == 0
    output = capsys.readouterr()
    assert "runs already; nothing was changed" in output.err
    assert f"export KUBECONFIG={sandbox.kubeconfig}" in output.out
    assert pids(sandbox) == before
    assert cli.main(["status"]) == 0


def test_lost_part_means_a_new_sandbox_and_down_leaves_no_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = Sandbox(tmp_path)
    seen: set[int] = set()
    try:
        assert sandbox.start()
        seen |= set(pids(sandbox).values())
        sandbox.aws.stop()
        (tmp_path / "pulumi" / "state" / "leftover").touch()
        assert sandbox.start()
        seen |= set(pids(sandbox).values())
        assert not (tmp_path / "pulumi" / "state" / "leftover").exists()
    finally:
        assert cli.main(["down", "--root", str(tmp_path)]) == 0
    assert [pid for pid in seen if start_time(pid) is not None] == []
    assert cli.main(["status", "--root", str(tmp_path)]) == 1
    assert "not running" in capsys.readouterr().out
