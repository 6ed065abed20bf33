"""Whether a batch was good, so that the next may begin: workloads back, so many looks in a row, and the user's check.

Pure but for the state. Which phase follows is drain.machine's business, running the check is hooks/batch_command.py's.
"""

from pulumi_nodepools.drain.events import AskCommand, CommandEnded
from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.drain.state import Judgement, State


def begin(state: State, nodes: tuple[str, ...]) -> None:
    """The next batch begins with these nodes."""
    state.judgement = Judgement(state.batch + 1, nodes)


def bad(state: State) -> bool:
    """Whether workloads have fewer ready pods than before, or more that no node takes."""
    return bool(state.workloads.lagging or state.unscheduled.more())


def good(state: State, now: float) -> bool:
    """Take one look; True once enough of them in a row, far enough apart, were good."""
    judgement, wanted = state.judgement, state.settings.batch_gate
    if bad(state):
        judgement.looks = 0
        return False
    if judgement.looks == 0 or now >= judgement.next_look:
        judgement.looks += 1
        judgement.next_look = now + wanted.interval
        state.at(judgement.next_look)
    return judgement.looks >= wanted.consecutive


def overdue(state: State) -> str:
    """Why the drain ends: workloads that were moved have not come back in time."""
    limit = state.settings.node_timeout
    if not state.batch:
        return f"workloads that an earlier run has moved are not back after {limit:g} s; no node was touched now"
    return f"batch {state.batch} is bad: workloads were not back {limit:g} s after their nodes were empty"


def to_check(state: State) -> bool:
    """Whether the user's check has still to judge the batch; one that moved nothing needs no judge."""
    judgement = state.judgement
    moves = bool(judgement.nodes) if judgement.batch else any(track.left for track in state.nodes.tracks.values())
    return bool(state.settings.batch_gate.command) and moves and not (judgement.ended and not judgement.ended.failure)


def ask(state: State) -> None:
    """Have the check begun, once for each batch."""
    judgement = state.judgement
    if not judgement.asked:
        judgement.asked = True
        state.actions.append(AskCommand(judgement.batch, judgement.nodes))


def ended(state: State, event: CommandEnded, _now: float) -> None:
    """The check has judged."""
    state.judgement.ended = event


def explain(state: State, failure: str) -> tuple[str, Diagnosis]:
    """Why the drain ends with this batch: the message, and the diagnosis that has the command's own words."""
    batch, nodes = state.batch, ", ".join(state.judgement.nodes)
    if batch:
        lead = f"batch {batch} ({nodes}) is bad: the batch gate's command does not pass"
        message = f"{lead}. Nothing more is evicted, what was not moved runs on"
        fix = "repair what it checks and run the drain again, or make the old version active again"
    else:
        message = "the batch gate's command does not pass before the first batch; no node was touched"
        fix = "repair what it checks, or the command, and run the drain again"
    return message, Diagnosis("batch-command", f"batch {batch}", nodes, failure, fix, {"batch": batch})
