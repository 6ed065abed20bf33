"""Where requests would have gone: which dead ends lose them, and which detours do not."""

import pytest

from sandbox.recorder import Endpoint, Ledger, Serving
from sandbox.traffic import RATE, DataPath, Route, Tally, document

WEB = "shop/web"
UP, GOING, DOWN = (True, True), (False, True), (False, False)


def on(**pods):
    """Endpoints by node."""
    return tuple(Endpoint(node, *state) for node, state in pods.items())


def path(*changes, sent=(), ended=None):
    """Nodes `a` and `b` on instances `i-a` and `i-b`; `changes` are (time, endpoints) of the one slice."""
    serving = [Serving(time, WEB, "web-1", endpoints) for time, endpoints in changes]
    return DataPath({"arn:web": list(sent)}, ended or {}, serving, {"a": "i-a", "b": "i-b"})


def lost(recorded, *, arn="arn:web", local=False):
    """Of ten seconds."""
    return recorded.requests(Route(WEB, arn, local), 0.0, 10.0)


def half(tally):
    return tally.lost == pytest.approx(5 * RATE, abs=1)


BOTH = (("i-a", 0.0, None), ("i-b", 0.0, None))


def test_requests_come_at_a_fixed_rate_and_all_arrive_while_all_is_well():
    assert lost(path((0, on(a=UP, b=UP)), sent=BOTH)) == Tally(sent=int(10 * RATE))


def test_a_load_balancer_without_a_target_loses_everything():
    tally = lost(path((0, on(a=UP)), sent=[("i-a", 0.0, 5.0)]))
    assert half(tally)
    assert tally.first == "5.00 s: the load balancer had no target"


def test_a_target_whose_instance_has_ended_loses_its_share():
    tally = lost(path((0, on(b=UP)), sent=BOTH, ended={"i-a": 5.0}))
    assert tally.lost == pytest.approx(2.5 * RATE, abs=1), "every other request of five seconds"
    assert "the load balancer sent to i-a, which had ended" in tally.first


def test_a_node_without_a_pod_passes_requests_on_unless_they_are_for_local_pods():
    recorded = path((0, on(a=UP, b=UP)), (5, on(b=UP)), sent=BOTH)
    assert lost(recorded).lost == 0
    tally = lost(recorded, local=True)
    assert tally.lost == pytest.approx(2.5 * RATE, abs=1)
    assert tally.first.endswith("no pod of the service on a")


def test_a_terminating_pod_answers_while_nobody_else_does():
    recorded = path((0, on(a=UP)), (5, on(a=GOING)), sent=[("i-a", 0.0, None)])
    assert lost(recorded).lost == 0
    assert lost(recorded, local=True).lost == 0
    gone = path((0, on(a=UP)), (5, on(a=DOWN)), sent=[("i-a", 0.0, None)])
    assert half(lost(gone))


def test_a_ready_endpoint_of_an_ended_instance_is_a_dead_end_for_pods_as_well():
    tally = lost(path((0, on(a=UP)), ended={"i-a": 5.0}), arn="")
    assert half(tally)
    assert tally.first.endswith("its pod's node a had ended")


def test_all_slices_of_a_service_count():
    ledger = Ledger("worker")
    for name, time in (("web-1", 0.0), ("web-2", 0.0)):
        ledger.saw_slice(_raw(name, "a"), deleted=False, now=time)
    ledger.saw_slice(_raw("web-1", "a"), deleted=True, now=3.0)
    assert lost(DataPath({}, {}, ledger.serving, {}), arn="").lost == 0
    ledger.saw_slice(_raw("web-2", "a"), deleted=True, now=5.0)
    assert half(lost(DataPath({}, {}, ledger.serving, {}), arn=""))


def _raw(name, node):
    labels = {"kubernetes.io/service-name": "web"}
    endpoint = {"nodeName": node, "conditions": {"ready": True}}
    return {"metadata": {"namespace": "shop", "name": name, "labels": labels}, "endpoints": [endpoint]}


def test_the_ledger_knows_instances_of_all_nodes_and_what_endpoints_still_answer():
    ledger = Ledger("worker")
    node = {"metadata": {"name": "a"}, "spec": {"providerID": "aws:///us-west-2a/i-a"}}
    ledger.saw_node(node, deleted=False, now=0.0)
    ledger.saw_node(node, deleted=True, now=1.0)
    assert ledger.instances == {"a": "i-a"}
    raw = _raw("web-1", "a")
    raw["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    ledger.saw_slice(raw, deleted=False, now=0.0)
    assert ledger.serving[0].endpoints == (Endpoint("a", ready=False, serving=True),)


def test_counts_are_kept_by_service():
    told = document({"b": Tally(10, 2, "1.00 s: no pod of the service"), "a": Tally(10)})
    assert (told["sent"], told["lost"]) == (20, 2)
    assert list(told["services"]) == ["a", "b"]
    assert told["services"]["b"]["first"] == "1.00 s: no pod of the service"
