"""Edits of a pool's listed versions, and what must hold of a version that serves or stands by."""

from collections.abc import Callable

from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Config, Project
from tests.engine_case import Cloud


def listing(pool: str, active: str, **versions: Config) -> Callable[[Config], None]:
    """The edit that lists exactly these versions."""

    def change(config: Config) -> None:
        config["nodepools:pools"][pool].update(active=active, versions=versions)

    return change


def up(project: Project, edit: Callable[[Config], None]) -> None:
    """Apply the edit; the run after it must find nothing to do."""
    project.edit(edit)
    assert "Traceback" not in project.up("--skip-preview").expect().output
    project.up("--skip-preview", "--expect-no-changes").expect()


def stands_by(cloud: Cloud, pool: str, version: str, nodes: int = 2) -> None:
    """The version keeps its nodes, cordoned, and its group is frozen."""
    group = cloud.groups(pool)[version]
    assert group["MinSize"] == group["MaxSize"] == group["DesiredCapacity"] == nodes
    assert {item["ProcessName"] for item in group["SuspendedProcesses"]} >= {"Launch", "AZRebalance"}
    assert (len(cloud.nodes(pool, version)), cloud.schedulable(pool, version)) == (nodes, 0)


def serves(
    cloud: Cloud, pool: str, version: str, *, app: str, nodes: int = 2, limits: tuple[int, int] = (1, 6)
) -> None:
    """All of the version's nodes take pods, its group is as the stack says, and the app runs on it."""
    group = cloud.groups(pool)[version]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (*limits, nodes)
    assert group["SuspendedProcesses"] == []
    assert cloud.schedulable(pool, version) == nodes
    record = PoolRecord(cloud.client, pool).load()
    assert (record.serving, record.pending, record.states[version]) == (version, "", "active")
    running = {pod["spec"]["nodeName"] for pod in cloud.pods(app)}
    assert running <= {node["metadata"]["name"] for node in cloud.nodes(pool, version)}
