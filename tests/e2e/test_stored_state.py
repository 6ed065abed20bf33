"""What the engine stores of every kind of resource of ours: `tests/unit/hooks/states` has it for each release.

The file of the release under work is a copy of `out/e2e/state.json`, which this test writes.
"""

import json
from importlib.metadata import version
from typing import Any

import pytest

from sandbox.engine import REPOSITORY, Config
from sandbox.story import soaking
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import OUTPUT

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(300)]
STORED = REPOSITORY / "tests" / "unit" / "hooks" / "states" / f"{version('pulumi-nodepools')}.json"
KEPT = ("urn", "type", "id", "outputs", "dependencies")


def test_the_stored_state_has_the_kinds_and_properties_of_today(cloud: Cloud, make_project) -> None:
    project = make_project("life", administrator=True)  # who makes a soak grants rights of every kind
    soak = soaking.rules(60, 3) | {"override": {"version": NEW, "reason": "the rig is broken"}}

    def listed(active: str, **versions: Config):
        return lambda config: config["nodepools:pools"]["life"].update(active=active, versions=versions, soak=soak)

    project.edit(listed(OLD, **{OLD: OLD_SPEC}))
    project.up("--skip-preview").expect()
    project.edit(listed(NEW, **{OLD: OLD_SPEC, NEW: NEW_SPEC}))
    project.up("--skip-preview").expect()
    ours = [
        {key: entry[key] for key in KEPT if key in entry}
        for entry in project.resources()
        if entry["type"].startswith("pulumi-python:dynamic/nodepools:")
    ]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "state.json").write_text(json.dumps(ours, indent=1, sort_keys=True) + "\n")
    assert _shape(json.loads(STORED.read_text())) == _shape(ours), f"see {OUTPUT / 'state.json'}"


def _shape(resources: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Each resource by kind and name, with the names of its properties."""
    return {"::".join(entry["urn"].split("::")[2:]): sorted(entry["outputs"]) for entry in resources}
