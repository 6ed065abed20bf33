"""Nodes whose kubelet does not answer: whether anything still runs there, only the cloud can tell.

Pods on such a node never end by themselves. Once the cloud says that its machine is no more, there is nothing left to
drain, and Kubernetes is told so by a taint: otherwise volumes that were mounted there stay attached for minutes, and
the pods that need them wait. Until then the drain waits, and says so. Pure but for the state.
"""

from pulumi_nodepools.drain.events import AskInstance, InstanceSeen, Patched, ReleaseNode, Say
from pulumi_nodepools.drain.state import State

OVER = frozenset({"terminated", "stopped", "absent"})
"""States of EC2 in which nothing can run; `absent` is one that EC2 has forgotten. One that only goes down may yet."""
_ASK_AGAIN = 15.0
_TRIES = 3
"""Without the taint Kubernetes comes to the same by itself, minutes later."""


def look(state: State, now: float) -> None:
    """Ask about the machines of those nodes that are being drained and are not ready."""
    for name in state.nodes.unready:
        track = state.nodes.active.get(name)
        if track and track.asked.get("instance", now) <= now:
            track.asked["instance"] = float("inf")  # until it is answered
            state.actions.append(AskInstance(name))


def instance_seen(state: State, event: InstanceSeen, now: float) -> None:
    """Give up a node whose machine is no more; ask again about every other."""
    state.world.instances[event.node] = event.state
    track = state.nodes.active.get(event.node)
    if track is None:
        return
    track.asked["instance"] = now + _ASK_AGAIN
    state.at(now + _ASK_AGAIN)
    if event.state in OVER and event.node in state.nodes.unready:
        for uid in track.left:
            state.evictions.keep(uid)
        message = f"node {event.node} does not answer and its instance is {event.state}: {len(track.left)} pods ended"
        state.nodes.bury(event.node, now)
        state.actions.append(Say("node-gone", event.node, message))
        _release(state, event.node, 1)


def _release(state: State, node: str, tries: int) -> None:
    state.releases[node] = tries
    state.actions.append(ReleaseNode(node))


def released(state: State, answer: Patched) -> None:
    """Take in the answer to that."""
    tries = state.releases.pop(answer.node)
    if answer.code in (200, 404) or state.nodes.present(answer.node) is None:
        return
    if tries < _TRIES and answer.code not in (401, 403):
        _release(state, answer.node, tries + 1)
        return
    message = f"node {answer.node} could not be tainted as out of service: {answer.code} {answer.message}"
    state.actions.append(Say("node-refused", answer.node, message))
