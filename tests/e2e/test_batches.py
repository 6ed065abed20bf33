"""A roll that the user's own check stops between two batches, and that the next `up` takes to its end."""

import pytest

from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.e2e.record import uninterrupted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

JUDGE = """#!/bin/sh
echo "$NODEPOOLS_POOL $NODEPOOLS_VERSION $NODEPOOLS_BATCH: $NODEPOOLS_NODES" >> judged
[ "$NODEPOOLS_BATCH" != 2 ] || [ -e fine ] || { echo "error rate is $1 %, may be 1 %"; exit 1; }
"""


def test_a_bad_second_batch_stops_the_roll_and_the_next_up_ends_it(cloud: Cloud, make_project) -> None:
    project = make_project("wary")
    (project.folder / "judge").write_text(JUDGE)
    (project.folder / "judge").chmod(0o755)

    def judged(config) -> None:
        pool = config["nodepools:pools"]["wary"]
        pool["size"]["initial"] = 3
        pool["drain"]["batchGate"] = {"command": ["./judge", "4"], "consecutive": 2, "interval": "200ms"}

    project.edit(judged)
    project.up("--skip-preview").expect()
    cloud.deployment("shop", "wary", replicas=6, budget={"maxUnavailable": 1})
    try:
        with uninterrupted(cloud, "wary", "bad-batch"):
            project.edit(activate("wary", NEW, NEW_SPEC))
            stopped = project.up("--skip-preview").fails().output
            assert "is bad: the batch gate's command does not pass" in stopped
            assert "error rate is 4 %, may be 1 %" in stopped
            assert "Traceback" not in stopped
            old = {node["metadata"]["name"] for node in cloud.nodes("wary", OLD)}
            assert len(old) == 3, "the group of a stopped roll is spared"
            left = [pod for pod in cloud.pods("shop") if pod["spec"]["nodeName"] in old]
            assert len({pod["spec"]["nodeName"] for pod in left}) == 1, "what was not in the two batches runs on"

            (project.folder / "fine").touch()
            project.up("--skip-preview").expect()
            assert set(cloud.groups("wary")) == {NEW}
        lines = (project.folder / "judged").read_text().splitlines()
        assert [line.split(":")[0] for line in lines] == [f"wary {OLD} {batch}" for batch in (0, 1, 2, 0, 1)]
        assert [len(line.split(":")[1].split()) for line in lines] == [0, 1, 1, 0, 1]
    finally:
        cloud.remove("shop")
