"""Promotion with a soak: what waits for the gate, who is exempt, and what each canary gets."""

from dataclasses import replace

import pytest

from pulumi_nodepools import BlueGreenNodePool, create_soak_tests
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.kernel_watch import agreed
from pulumi_nodepools.promotion import exemption
from pulumi_nodepools.soak.document import spec_digest
from pulumi_nodepools.survey import Survey
from tests.components.conftest import make_nodes, make_pool
from tests.components.engine import Recording, run
from tests.components.test_soak_test import make_soak

ACTIVE, CANARY = "7.7.1908", "7.8.2003"
GATE = "worker-soak"


def build(surveyed, *, canary: bool = False, live: int | None = 14, **soak) -> Recording:
    surveyed(live=live)
    versions = {ACTIVE: make_nodes()} | ({CANARY: make_nodes(image_id="ami-0cccccccccccccccc")} if canary else {})
    args = make_pool(ACTIVE, versions=versions, canaries={CANARY: 1} if canary else {}, soak=make_soak(**soak))

    def program() -> None:
        pool = BlueGreenNodePool("worker", args)
        create_soak_tests({"worker": args}, {"worker": pool.canaries})

    return run(program)


def test_nothing_of_the_version_is_made_before_its_gate_is_passed(surveyed) -> None:
    recorded = build(surveyed)
    assert recorded[GATE].type == "pulumi-python:dynamic/nodepools:SoakGate"
    assert recorded[GATE].dependencies == set()
    assert recorded[f"worker-{ACTIVE}-lock"].dependencies == {GATE}
    assert f"worker-{ACTIVE}-lock" in recorded[f"worker-{ACTIVE}-template"].dependencies
    assert recorded[GATE].inputs["urn"] == recorded[GATE].urn


def test_without_a_soak_there_is_no_gate(surveyed) -> None:
    surveyed()
    recorded = run(lambda: BlueGreenNodePool("worker", make_pool()))
    assert not recorded.of(":SoakGate")
    assert recorded[f"worker-{ACTIVE}-lock"].dependencies == set()


def test_a_canary_does_not_wait_for_the_gate_and_gets_its_test(surveyed) -> None:
    recorded = build(surveyed, canary=True)
    assert recorded[f"worker-{CANARY}-lock"].dependencies == set()
    cron = recorded[f"worker-{CANARY}-soak-canary"].inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert cron["nodeSelector"]["nodepools.dev/version"] == f"{CANARY}-canary"
    assert {"key": "nodepools.dev/canary", "operator": "Equal", "value": CANARY, "effect": "NoSchedule"} in cron[
        "tolerations"
    ]
    old = recorded[f"worker-{CANARY}-soak-baseline"].inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert old["nodeSelector"]["nodepools.dev/version"] == ACTIVE
    assert not old["tolerations"]


def test_the_gate_asks_for_the_same_spec_that_the_collector_was_told(surveyed) -> None:
    told = build(surveyed, canary=True)[f"worker-{CANARY}-soak-collector-settings"].inputs["data"]["settings.json"]
    surveyed(live=14)
    nodes = make_nodes(image_id="ami-0cccccccccccccccc")
    promoted = run(lambda: BlueGreenNodePool("worker", make_pool(CANARY, nodes, soak=make_soak())))
    assert promoted[GATE].inputs["spec"] in told
    lock = promoted[f"worker-{CANARY}-lock"].inputs["spec"]
    assert promoted[GATE].inputs["spec"] == spec_digest(lock), "what the lock keeps is what was soaked"


def test_an_override_counts_for_its_version_alone(surveyed) -> None:
    assert build(surveyed, overrides={ACTIVE: "a reason"})[GATE].inputs["override"] == "a reason"
    assert build(surveyed, overrides={CANARY: "a reason"})[GATE].inputs["override"] == ""


@pytest.mark.parametrize(
    ("serving", "existing", "words"),
    [
        (None, {}, "no version serves yet"),
        (None, {"7.6.1810": ()}, ""),
        ("7.7.1908", {}, "its nodes are there already"),
        ("7.6.1810", {"7.7.1908": ()}, "its nodes are there already"),
        ("7.6.1810", {}, ""),
    ],
)
def test_first_versions_and_rollbacks_are_exempt(serving, existing, words) -> None:
    found = Survey("1", "uid", serving, None, {}, {}, existing=existing)
    assert exemption("7.7.1908", found) == words


def test_pools_that_contradict_each_other_about_the_watcher_are_refused() -> None:
    soak = make_soak()
    assert agreed([soak, soak]) == (soak.kernel_watch, list(soak.sets))
    with pytest.raises(ConfigError, match="one watcher serves all of them"):
        agreed([soak, replace(soak, kernel_watch=soak.collector)])
    with pytest.raises(ConfigError, match="the set kmem differs"):
        agreed([soak, replace(soak, sets=[replace(soak.sets[0], window=1.0)])])
