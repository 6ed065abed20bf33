"""The engine and its Python language host, on small programs: up, preview with policies, failures, destroy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.binaries import LANGUAGE_HOST, locate
from sandbox.engine import REPOSITORY

pytestmark = pytest.mark.sandbox

PROVIDER = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    serialize_as_secret_always = False
    def create(self, props):
        return CreateResult("thing-1", dict(props))
    def delete(self, id, props):
        print("deleting", props["colour"], flush=True)

class Thing(Resource, module="test", name="Thing"):
    def __init__(self, name, props):
        super().__init__(Provider(), name, props)
"""
PROGRAM = """
import pulumi
from things import Thing

config = pulumi.Config()
if config.get("fail") == "clean":
    raise pulumi.RunError("stopped for a reason")
if config.get("fail") == "broken":
    raise ValueError("unexpected")
thing = Thing("one", {"colour": config.require("colour"), "token": config.get_secret("token")})
pulumi.export("colour", config.require("colour"))
pulumi.export("dry", pulumi.runtime.is_dry_run())
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def check(args, report):
    if args.props.get("colour") == "red":
        report("red is not allowed")

PolicyPack("colours", [ResourceValidationPolicy("no-red", "Nothing is red", check, EnforcementLevel.MANDATORY)])
"""


class Program:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "program"
        self.pack = folder / "pack"
        state, home = folder / "state", folder / "home"
        for made in (self.folder, self.pack, state, home):
            made.mkdir()
        self.write("Pulumi.yaml", f"name: tiny\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n")
        self.write("things.py", PROVIDER)
        self.write("__main__.py", PROGRAM)
        venv = REPOSITORY / "policies" / "venv"
        assert (venv / "bin" / "python").exists(), "run `make setup` first"
        runtime = f"runtime:\n  name: python\n  options:\n    virtualenv: {venv}\n"
        (self.pack / "PulumiPolicy.yaml").write_text(runtime)
        (self.pack / "__main__.py").write_text(PACK)
        entries = [*map(str, locate().path_entries), os.environ["PATH"]]
        self.env = {
            "PATH": os.pathsep.join(entries),
            "HOME": str(home),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        }

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, *arguments: str, code: int = 0) -> str:
        command = ["pulumi", *arguments, "--non-interactive"]
        result = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90, check=False
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    program = Program(tmp_path_factory.mktemp("host"))
    program.run("stack", "init", "test")
    program.run("config", "set", "--secret", "token", "hush")
    return program


def set_colour(program: Program, colour: str) -> None:
    program.run("config", "set", "colour", colour)


def test_up_preview_and_destroy_with_a_dynamic_provider(program: Program) -> None:
    set_colour(program, "blue")
    assert "2 to create" in program.run("preview")
    assert "2 created" in program.run("up", "--yes", "--skip-preview")
    assert '"colour": "blue"' in program.run("stack", "output", "--json")
    assert '"dry": false' in program.run("stack", "output", "--json")
    assert "hush" not in program.run("stack", "export")
    assert "2 unchanged" in program.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    output = program.run("destroy", "--yes", "--skip-preview")
    assert "deleting blue" in output
    assert "2 deleted" in output


def test_policy_pack_passes_and_refuses(program: Program) -> None:
    set_colour(program, "blue")
    assert "✅ colours" in program.run("preview", "--policy-pack", str(program.pack))
    set_colour(program, "red")
    output = program.run("preview", "--policy-pack", str(program.pack), code=1)
    assert "red is not allowed" in output
    assert "KeyboardInterrupt" not in output


@pytest.mark.parametrize(
    ("kind", "message", "traceback"),
    [("clean", "stopped for a reason", False), ("broken", "ValueError: unexpected", True)],
)
def test_failed_program_shows_its_own_message(program: Program, kind: str, message: str, traceback: bool) -> None:
    set_colour(program, "blue")
    program.run("config", "set", "fail", kind)
    try:
        output = program.run("preview", code=1)
    finally:
        program.run("config", "rm", "fail")
    assert message in output
    assert ("Traceback" in output) == traceback


def test_missing_virtual_environment_is_named(program: Program, tmp_path: Path) -> None:
    before = (program.folder / "Pulumi.yaml").read_text()
    program.write("Pulumi.yaml", before.replace(sys.prefix, str(tmp_path / "nowhere")))
    try:
        assert "nowhere" in program.run("preview", code=1)
    finally:
        program.write("Pulumi.yaml", before)


def test_about_knows_the_interpreter(program: Program) -> None:
    output = program.run("about")
    assert LANGUAGE_HOST.removeprefix("pulumi-language-") in output
    assert str(Path(sys.prefix) / "bin" / "python") in output
