"""Reports of real drains of the machine, told event by event; and whatever text a cluster may send."""

from pulumi_nodepools.drain.events import Gone, Seen, Stop
from pulumi_nodepools.drain.model import BudgetView, DrainEvent, NodeView
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.hooks.soak_judging import Judgement
from pulumi_nodepools.names import POOL_LABEL
from pulumi_nodepools.soak.evidence import Evidence, Runs, Subject
from pulumi_nodepools.soak.verdict import Verdict
from tests.unit.drain.drain_case import Case, controller, make_pod, old_node

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
"""What a pod's name can never be, but an Event's message can."""


def drained(*, event="batch 1: old-1", name="a"):
    """Two old nodes, one pod that goes, one new node."""
    case = _case(name)
    case.answer(name, 201)
    case.tell(Gone("pods", f"u-{name}"))
    case.at(3.0)
    case.tell(Seen(make_pod("b", "new-1", owner="rs")))
    case.at(4.0)
    return _body(case, event)


def blocked(*, event="batch 1: old-1", name="a"):
    """The same, but a budget lets nothing go."""
    case = _case(name, BudgetView(namespace="ns", name="web", uid="b", match_labels={"app": "rs"}, healthy=1, needed=1))
    case.at(30.0)
    case.tell(Stop())
    return _body(case, event)


def _case(name, *more):
    pool = {"pool": "old", POOL_LABEL: "worker"}
    views = [old_node("old-1", labels=pool), old_node("old-2", labels=pool)]
    views += [NodeView(name="new-1", labels={POOL_LABEL: "worker"}), controller(), make_pod(name, "old-1"), *more]
    case = Case(*views)
    case.begin()
    return case


def _body(case, event):
    events = [(case.now, DrainEvent("batch", "old-1", event))]
    return make_report(case.state, case.now, events=events, api_calls={"evict": {"201": 1}}).to_json()


def demo(drain):
    """A demo's document around a drain."""
    return {
        "schemaVersion": 1,
        "kind": "demo",
        "claims": [{"text": "nothing was interrupted", "held": True, "detail": "6 services"}],
        "phases": {"pulumi up": 20.0},
        "previewSeconds": 2.0,
        "upSeconds": 20.0,
        "recordedSeconds": 30.0,
        "recorderGaps": [],
        "ciRuns": {"unpatched": [12, 3], "patched": [15, 0]},
        "interruptions": [
            {"kind": "service", "subject": "shop/a", "detail": "gone", "began": 3.0, "ended": None, "predicted": True}
        ],
        "predictedInterruptions": ["shop/a"],
        "capacity": {"floor": 14, "points": [{"at": 0.0, "blue": 14, "green": 0}, {"at": 9.0, "blue": 0, "green": 14}]},
        "drains": [drain],
        "soaks": [soak(line="the canary shows the bug: kmem"), soak()],
    }


def soak(*, line="", before=Runs(18, 7), after=Runs(18, 0)):  # noqa: B008 - frozen
    """What the gate says of evidence with such runs; with a line it refuses."""
    subject = Subject("worker", "7.7.1908", "ami-1", "sha256:1")
    seen = Evidence(subject, 0.0, 90.0, gap_seconds=5.0, runs={"baseline": before, "canary": after})
    return Judgement(subject, Verdict((line,) if line else (), watched=60.0), seen).to_json()


FAILURE = {"schemaVersion": 1, "kind": "failure", "outcome": "failed", "error": "no such node", "diagnosis": []}
