"""The recorder's ledger: what counts as an interruption, and as capacity."""

from pulumi_nodepools import names
from sandbox.recorder import Ledger


def _slice(name: str, service: str, *ready: bool) -> dict:
    return {
        "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": service}},
        "endpoints": [{"conditions": {"ready": value}} for value in ready],
    }


def _budget(healthy: int, desired: int) -> dict:
    metadata = {"namespace": "shop", "name": "web"}
    return {"metadata": metadata, "status": {"currentHealthy": healthy, "desiredHealthy": desired}}


def _node(name: str, version: str, *, ready: bool = True, cordoned: bool = False) -> dict:
    return {
        "metadata": {"name": name, "labels": {names.POOL_LABEL: "worker", names.VERSION_LABEL: version}},
        "spec": {"unschedulable": cordoned},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def test_a_service_that_loses_its_last_ready_endpoint_is_interrupted_until_one_is_back() -> None:
    ledger = Ledger("worker")
    ledger.saw_slice(_slice("web-1", "web", True, False), deleted=False, now=1)
    ledger.saw_slice(_slice("web-1", "web", False, False), deleted=False, now=2)
    ledger.saw_slice(_slice("web-1", "web", True), deleted=False, now=3)
    (found,) = ledger.interruptions
    assert (found.kind, found.subject, found.began, found.ended) == ("service", "shop/web", 2, 3)


def test_a_service_that_never_served_is_not_interrupted() -> None:
    ledger = Ledger("worker")
    ledger.saw_slice(_slice("web-1", "web", False), deleted=False, now=1)
    assert not ledger.interruptions


def test_a_service_with_several_slices_is_up_while_one_has_an_endpoint() -> None:
    ledger = Ledger("worker")
    ledger.saw_slice(_slice("web-1", "web", True), deleted=False, now=1)
    ledger.saw_slice(_slice("web-2", "web", True), deleted=False, now=1)
    ledger.saw_slice(_slice("web-1", "web", True), deleted=True, now=2)
    assert not ledger.interruptions
    ledger.saw_slice(_slice("web-2", "web"), deleted=False, now=3)
    assert len(ledger.interruptions) == 1


def test_a_budget_below_its_need_is_an_interruption() -> None:
    ledger = Ledger("worker")
    ledger.saw_budget(_budget(7, 7), deleted=False, now=1)
    assert not ledger.interruptions
    ledger.saw_budget(_budget(6, 7), deleted=False, now=2)
    (found,) = ledger.interruptions
    assert found.detail == "6 healthy of 7 required"
    assert found.ended is None


def test_capacity_is_ready_and_schedulable_nodes_from_the_first_cordon() -> None:
    ledger = Ledger("worker")
    ledger.saw_node(_node("a", "1", ready=False), deleted=False, now=1)
    ledger.saw_node(_node("a", "1"), deleted=False, now=2)
    ledger.saw_node(_node("b", "2"), deleted=False, now=3)
    assert ledger.lowest_ready() == 2, "without a cordon, what was there last"
    ledger.saw_node(_node("a", "1", cordoned=True), deleted=False, now=4)
    assert ledger.first_cordon == 4
    assert ledger.lowest_ready() == 1
    ledger.saw_node(_node("b", "2", ready=False), deleted=False, now=5)
    ledger.saw_node(_node("b", "2"), deleted=False, now=6)
    assert ledger.lowest_ready() == 0
    assert [point["ready"] for point in ledger.capacity] == [0, 1, 2, 1, 0, 1]


def test_nodes_of_other_pools_do_not_count() -> None:
    ledger = Ledger("other")
    ledger.saw_node(_node("a", "1"), deleted=False, now=1)
    assert not ledger.capacity


def test_canaries_are_no_capacity() -> None:
    ledger = Ledger("worker")
    ledger.saw_node(_node("a", names.canary_name("2")), deleted=False, now=1)
    assert not ledger.capacity
