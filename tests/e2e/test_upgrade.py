"""A newer release of this library on an older stack: what is live does not change, what is new gets the new text."""

import re
import shutil
from pathlib import Path

import pytest

import pulumi_nodepools
from tests.e2e.conftest import NEW, NEW_SPEC, activate

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_another_renderer_leaves_live_versions_alone(make_project, tmp_path) -> None:
    project = make_project("upgrade")
    project.up("--skip-preview").expect()

    newer = tmp_path / "newer"
    shutil.copytree(Path(pulumi_nodepools.__file__).parent, newer / "pulumi_nodepools")
    renderer = newer / "pulumi_nodepools" / "bootstrap" / "render.py"
    text, replaced = re.subn(r"(?m)^REVISION = \d+$", "REVISION = 9999", renderer.read_text())
    assert replaced == 1
    renderer.write_text(text)
    env = {"PYTHONPATH": str(newer)}

    up = ("up", "--stack", "prod", "--yes", "--non-interactive", "--skip-preview", "--expect-no-changes")
    project.run(*up, env=env).expect()
    project.run(*up, "--refresh", env=env).expect()

    project.edit(activate("upgrade", NEW, NEW_SPEC))
    planned = project.run("preview", "--stack", "prod", "--non-interactive", "--diff", env=env).expect()
    assert re.search(r'nodepools\.dev/renderer.*"9999"', planned.output), "the newer release did not run at all"
