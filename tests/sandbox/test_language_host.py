"""The engine and its Python language host, on small programs: up, preview with policies, failures, destroy."""

import sys
from pathlib import Path

import pytest
from program_case import Program

from sandbox.binaries import LANGUAGE_HOST
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


class Tiny(Program):
    """A program with a dynamic resource, and a policy pack in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "program", PROGRAM)
        self.write("things.py", PROVIDER)
        venv = REPOSITORY / "policies" / "venv"
        assert (venv / "bin" / "python").exists(), "run `make setup` first"
        self.pack = folder / "pack"
        self.pack.mkdir()
        (self.pack / "PulumiPolicy.yaml").write_text(f"runtime: {{name: python, options: {{virtualenv: {venv}}}}}\n")
        (self.pack / "__main__.py").write_text(PACK)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    program = Tiny(tmp_path_factory.mktemp("host"))
    program.run("config", "set", "--secret", "token", "hush")
    return program


def set_colour(program: Tiny, colour: str) -> None:
    program.run("config", "set", "colour", colour)


def test_up_preview_and_destroy_with_a_dynamic_provider(program: Tiny) -> None:
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


def test_policy_pack_passes_and_refuses(program: Tiny) -> None:
    set_colour(program, "blue")
    assert "✅ colours" in program.run("preview", "--policy-pack", str(program.pack))
    set_colour(program, "red")
    output = program.run("preview", "--policy-pack", str(program.pack), fails=True)
    assert "red is not allowed" in output
    assert "KeyboardInterrupt" not in output


@pytest.mark.parametrize(
    ("kind", "message", "traceback"),
    [("clean", "stopped for a reason", False), ("broken", "ValueError: unexpected", True)],
)
def test_failed_program_shows_its_own_message(program: Tiny, kind: str, message: str, traceback: bool) -> None:
    set_colour(program, "blue")
    program.run("config", "set", "fail", kind)
    try:
        output = program.run("preview", fails=True)
    finally:
        program.run("config", "rm", "fail")
    assert message in output
    assert ("Traceback" in output) == traceback


def test_missing_virtual_environment_is_named(program: Tiny, tmp_path: Path) -> None:
    before = (program.folder / "Pulumi.yaml").read_text()
    program.write("Pulumi.yaml", before.replace(sys.prefix, str(tmp_path / "nowhere")))
    try:
        assert "nowhere" in program.run("preview", fails=True)
    finally:
        program.write("Pulumi.yaml", before)


def test_about_knows_the_interpreter(program: Tiny) -> None:
    output = program.run("about")
    assert LANGUAGE_HOST.removeprefix("pulumi-language-") in output
    assert str(Path(sys.prefix) / "bin" / "python") in output
