"""Resources taken out of the state by hand: the next `up` makes them anew, and nothing leaves undrained for it."""

import pytest

from sandbox.engine import Project, Run
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.e2e.record import uninterrupted
from tests.e2e.versions import serves

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


def test_what_was_deleted_from_the_state_is_made_anew_by_the_next_up(cloud: Cloud, make_project) -> None:
    project = make_project("operated")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "operated", replicas=2, budget={"maxUnavailable": 1})
    urns = {urn.rpartition("::")[2]: urn for urn in project.urns()}
    try:
        with uninterrupted(cloud, "operated", "state-delete"):
            depended = _delete(project, urns[f"operated-{OLD}-group"]).fails().output
            assert "can't be safely deleted because the following resources depend on it" in depended
            assert f"operated-{OLD}-drain" in depended
            for name in ("operated-cutover", "operated-gate", f"operated-{OLD}-drain"):
                _delete(project, urns[name]).expect()
            pods = {pod["metadata"]["uid"] for pod in cloud.pods("web")}
            project.up("--skip-preview").expect()
            assert {urn.rpartition("::")[2] for urn in project.urns()} == {*urns}
            assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods
            serves(cloud, "operated", OLD, app="web")

            project.edit(activate("operated", NEW, NEW_SPEC))
            replaced = project.up("--skip-preview").expect().output
            assert f"DrainHook operated-{OLD}-drain deleted" in replaced
            assert set(cloud.groups("operated")) == {NEW}
            serves(cloud, "operated", NEW, app="web")
    finally:
        cloud.remove("web")


def _delete(project: Project, urn: str) -> Run:
    return project.run("state", "delete", urn, "--stack", "prod", "--yes")
