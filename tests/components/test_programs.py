"""The stack's own program against the mock engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_nodepools import NodePoolsError
from tests.components.engine import run_program

ROOT = Path(__file__).resolve().parents[2]


def prod() -> dict[str, Any]:
    """The configuration of Pulumi.prod.yaml."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return config


def test_the_stack_builds_the_pool_of_its_configuration(surveyed) -> None:
    surveyed()
    recorded = run_program(ROOT / "__main__.py", prod())
    group = recorded["worker-7.6.1810-group"]
    assert (group.inputs["minSize"], group.inputs["desiredCapacity"], group.inputs["maxSize"]) == (3, 14, 20)
    rights = {one.name for one in recorded.registered if one.type.startswith("kubernetes:")}
    assert rights <= group.dependencies, "the drain needs its rights until the group is gone"
    assert recorded["worker-7.6.1810-drain"].inputs["drain"]["barePods"] == "allow"


def test_the_patched_version_is_one_edit_away(surveyed) -> None:
    surveyed(live=12)
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    marked = text.split('# "7.7.1908":', 1)[1].split("\n      drain:", 1)[0]
    version = yaml.safe_load("\n".join(line.strip().removeprefix("# ") for line in marked.splitlines()))
    config = prod()
    config["nodepools:pools"]["worker"] |= {"active": "7.7.1908", "versions": {"7.7.1908": version}}
    recorded = run_program(ROOT / "__main__.py", config)
    assert recorded["worker-7.7.1908-group"].inputs["desiredCapacity"] == 12, "as large as the pool is now"
    assert recorded["worker-gate"].inputs["kernelArguments"] == ["cgroup.memory=nokmem"]
    assert recorded["worker-gate"].inputs["minimumKernelVersion"] == "3.10.0-1062.4.1"


def test_a_stack_without_pools_keeps_the_rights_that_removal_needs(surveyed) -> None:
    surveyed()
    recorded = run_program(ROOT / "__main__.py", prod() | {"nodepools:pools": {}})
    assert recorded.of(":ClusterRole")
    assert not recorded.of(":Group")


def stopped(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> str:
    """The one error with which the stack's program ends."""
    with pytest.raises(SystemExit) as ended:
        run_program(ROOT / "__main__.py", config)
    assert ended.value.code == 32, "any other code makes the host add an error of its own"
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    return record.getMessage()


def test_bad_configuration_ends_the_program_with_one_message(surveyed, caplog) -> None:
    asked = surveyed()
    config = prod()
    config["nodepools:pools"]["worker"]["active"] = "9.9.9"
    assert 'pools.worker.active: "9.9.9" is not listed' in stopped(config, caplog)
    assert asked == [], "nothing is looked at before the configuration is right"


def test_a_failed_look_at_the_cluster_ends_the_program_with_one_message(surveyed, caplog) -> None:
    surveyed(error=NodePoolsError("cluster prod did not answer"))
    assert stopped(prod(), caplog) == "cluster prod did not answer"


def test_a_missing_region_is_named(surveyed, caplog) -> None:
    surveyed()
    config = prod()
    del config["aws:region"]
    assert "aws:region" in stopped(config, caplog)
