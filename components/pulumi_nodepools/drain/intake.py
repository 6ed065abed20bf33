"""What a change in the cluster means for the drain's state: pods judged, nodes found, budgets and owners told on."""

from collections.abc import Callable, Mapping

from pulumi_nodepools.drain.classify import undisturbed_for
from pulumi_nodepools.drain.events import Gone, Relisted, Say, Seen
from pulumi_nodepools.drain.model import (
    AttachmentView,
    BudgetView,
    ClaimView,
    ControllerView,
    DeploymentView,
    NodeView,
    PodView,
    VolumeView,
)
from pulumi_nodepools.drain.nodes import SETTLE
from pulumi_nodepools.drain.state import State

_REJUDGE = 30.0
"""Pods that block are judged again at least this often: an opt-out may have run out."""


def seen(state: State, event: Seen, now: float) -> None:
    """Take in an object as it is now."""
    match event.view:
        case PodView() as pod:
            _pod_seen(state, pod, now)
        case NodeView() as node:
            before = state.world.nodes.get(node.name)
            if before and before.uid != node.uid:
                _node_gone(state, node.name, now)
            state.world.nodes[node.name] = node
            _found_again(state, node.name, now)
            _node_seen(state, node, now)
            state.capacity.seen(node, now, ours=state.nodes.present(node.name) is not None)
        case BudgetView() as budget:
            _budget_seen(state, budget, now)
        case ControllerView() as controller:
            _controller_seen(state, controller, now)
        case DeploymentView() as deployment:
            _deployment_seen(state, deployment, now)
        case AttachmentView() | ClaimView() | VolumeView() as stored:
            state.world.storage.put(stored)


def _found_again(state: State, node: str, now: float) -> None:
    """What runs on a node that has come back counts again."""
    if node in state.world.lost:
        state.world.lost.discard(node)
        for uid in state.world.by_node.get(node, ()):
            owner = state.world.pods[uid].owner
            if owner:
                _owner_touched(state, owner.uid, now, relane=False)


def _budget_seen(state: State, budget: BudgetView, now: float) -> None:
    changed = state.world.put_budget(budget)
    state.evictions.budget_changed(budget.uid, now)
    if changed:
        _relane(state, budget.namespace, now)


def _controller_seen(state: State, controller: ControllerView, now: float) -> None:
    old = state.world.controllers.get(controller.uid)
    if old == controller:
        return  # its status changes with every pod, and is nothing to a drain
    state.world.controllers[controller.uid] = controller
    _owner_touched(state, controller.uid, now, relane=old is None or old.desired != controller.desired)
    if old is None and controller.kind == "DaemonSet":
        _rejudge_owned(state, controller.uid, now)


def _pod_seen(state: State, pod: PodView, now: float) -> None:
    fresh = state.phase != "sync"
    for old in state.world.put_pod(pod):
        if old.uid != pod.uid:
            _pod_left(state, old, now)
        elif old.node == pod.node:
            fresh = False
    judge(state, pod, now, fresh=fresh)
    if pod.owner:
        _owner_touched(state, pod.owner.uid, now, relane=False)


def judge(state: State, pod: PodView, now: float, *, fresh: bool) -> None:
    """Decide what is to become of a pod, and let it wait for its eviction if its node is being drained."""
    before = state.nodes.tier(pod.node)
    track, verdict = state.nodes.judge(pod, now + state.wall_offset, fresh=fresh)
    if track is None or verdict is None or state.phase == "sync":
        return
    if (track.phase == "done" or track.emptied is not None) and track.left:
        state.nodes.begin(track, now)
        state.deadline(now + state.settings.node_timeout)
        state.actions.append(Say("returned", track.name, f"pod {pod.path} appeared on empty node {track.name}"))
    if verdict.action == "block" or verdict.reason == "opted-out":
        state.rejudge(now + min(_REJUDGE, max(1.0, undisturbed_for(pod, now + state.wall_offset))))
    if track.phase == "active" and not pod.terminating and (track.due(pod.uid) or state.evictions.is_forced(pod.uid)):
        state.evictions.add(pod, now)
    else:
        state.evictions.keep(pod.uid)
    _next_tier(state, pod.node, before, now)


def _next_tier(state: State, node: str, before: int, now: float) -> None:
    """The last pod of a tier has gone from a node: it is the next one's turn."""
    track = state.nodes.active.get(node)
    if track and track.tier > before:
        for uid in track.left:
            if track.due(uid):
                state.evictions.add(state.world.pods[uid], now)


def _pod_left(state: State, pod: PodView, now: float) -> None:
    before = state.nodes.tier(pod.node)
    state.nodes.forget(pod)
    state.evictions.gone(pod.uid, now)
    _next_tier(state, pod.node, before, now)
    if pod.owner:
        _owner_touched(state, pod.owner.uid, now, relane=False)


def _node_seen(state: State, node: NodeView, now: float) -> None:
    before = state.nodes.tracks.get(node.name)
    known = before is not None and before.phase != "gone"
    track = state.nodes.seen(node, now)
    if track is None or state.phase == "sync":
        return
    if track.cordoned is not None:
        state.at(track.cordoned + SETTLE)
    if not known:
        state.actions.append(Say("node-joined", node.name, f"node {node.name} joined and will be drained too"))
        for uid in list(state.world.by_node.get(node.name, ())):
            judge(state, state.world.pods[uid], now, fresh=False)


def _relane(state: State, namespace: str, now: float) -> None:
    for track in state.nodes.active.values():
        for uid in track.left:
            pod = state.world.pods.get(uid)
            if pod and pod.namespace == namespace and track.due(uid):
                state.evictions.add(pod, now)


def _owner_touched(state: State, uid: str, now: float, *, relane: bool) -> None:
    state.evictions.owner_changed(uid)
    state.workloads.changed(uid)
    if not relane:
        return
    for name in state.world.by_owner.get(uid, ()):
        pod = state.world.pods[name]
        track = state.nodes.tracks.get(pod.node)
        if track and track.phase == "active" and track.due(name):
            state.evictions.add(pod, now)


def _deployment_seen(state: State, deployment: DeploymentView, now: float) -> None:
    old = state.world.deployments.get(deployment.uid)
    state.world.deployments[deployment.uid] = deployment
    undone = old.moving if old and old.moving != deployment.moving else ""
    state.evictions.deployment_changed(deployment.uid, undone, now)


def _deployment_gone(state: State, uid: str, now: float) -> None:
    state.world.deployments.pop(uid, None)
    state.evictions.deployment_gone(uid, now)


def _rejudge_owned(state: State, owner: str, now: float) -> None:
    for uid in list(state.world.by_owner.get(owner, ())):
        judge(state, state.world.pods[uid], now, fresh=False)


def gone(state: State, event: Gone, now: float) -> None:
    """Take in that an object is no more."""
    _GONE[event.kind](state, event.key, now)


def _pod_gone(state: State, uid: str, now: float) -> None:
    pod = state.world.drop_pod(uid)
    if pod:
        _pod_left(state, pod, now)


def _node_gone(state: State, name: str, now: float) -> None:
    state.world.nodes.pop(name, None)
    state.world.lost.add(name)
    state.capacity.gone(name, now)
    track = state.nodes.tracks.get(name)
    for uid in track.left if track else ():
        state.evictions.keep(uid)
    if state.nodes.gone(name, now):
        state.actions.append(Say("node-gone", name, f"node {name} is gone"))


def _budget_gone(state: State, uid: str, now: float) -> None:
    budget = state.world.drop_budget(uid)
    if budget:
        _relane(state, budget.namespace, now)


def _controller_gone(state: State, uid: str, now: float) -> None:
    controller = state.world.controllers.pop(uid, None)
    if controller:
        _owner_touched(state, uid, now, relane=True)
        if controller.kind == "DaemonSet":
            _rejudge_owned(state, uid, now)


_GONE: dict[str, Callable[[State, str, float], None]] = {
    "pods": _pod_gone,
    "nodes": _node_gone,
    "budgets": _budget_gone,
    "controllers": _controller_gone,
    "deployments": _deployment_gone,
    "claims": lambda state, uid, _now: state.world.storage.drop_claim(uid),
    "volumes": lambda state, uid, _now: state.world.storage.drop_volume(uid),
    "attachments": lambda state, uid, _now: state.world.storage.drop_attachment(uid),
}


def relisted(state: State, event: Relisted, now: float) -> None:
    """Take in a whole list: what is not in it is gone."""
    world = state.world
    controllers = {uid: item for uid, item in world.controllers.items() if item.kind == event.scope}
    known: dict[str, Mapping[str, object]] = {
        "pods": world.pods,
        "nodes": world.nodes,
        "budgets": world.budgets,
        "controllers": controllers,
        "deployments": world.deployments,
        "claims": world.storage.claims,
        "volumes": world.storage.volumes,
        "attachments": world.storage.attachments,
    }
    for key in [key for key in known[event.kind] if key not in event.keys]:
        _GONE[event.kind](state, key, now)
