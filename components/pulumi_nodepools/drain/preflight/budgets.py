"""Which budgets of the pods that are to move can never allow it, or contradict each other. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain import budgets
from pulumi_nodepools.drain.model import BudgetView, PodView
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.world import World


def budget_findings(world: World, moving: Sequence[PodView]) -> Iterator[Finding]:
    """One finding for each budget, and for each set of budgets that guard the same pods."""
    alone: dict[str, int] = defaultdict(int)
    together: dict[tuple[str, ...], list[PodView]] = defaultdict(list)
    for pod in moving:
        if pod.phase == "Pending":
            continue  # the server lets those pass every budget
        guards = world.guards(pod)
        if len(guards) > 1:
            together[tuple(sorted(guards))].append(pod)
        for uid in guards:
            alone[uid] += 1
    for uids, pods in together.items():
        yield _several(world, uids, pods)
    for uid, number in alone.items():
        yield from _one(world.budgets[uid], number)


def _several(world: World, uids: Sequence[str], pods: Sequence[PodView]) -> Finding:
    paths = ", ".join(sorted(world.budgets[uid].path for uid in uids))
    return Finding(
        "never",
        "pdb-multiple",
        f"workload {world.workload(pods[0])}",
        f"{len(pods)} of its pods here are selected by more than one PodDisruptionBudget ({paths}); the API server "
        "refuses every eviction of such a pod",
        "change the selectors so that exactly one budget selects each pod",
        numbers={"budgets": paths, "pods": len(pods)},
    )


def _one(budget: BudgetView, pods: int) -> Iterator[Finding]:
    name, numbers = f"budget {budget.path}", {**budgets.numbers(budget), "pods": pods}
    if budget.sync_failure:
        message = f"it cannot be computed, so it allows nothing for its {pods} pods here: {budget.sync_failure}"
        fix = "make the budget select only pods of scalable controllers"
        yield Finding("never", "pdb-sync-failed", name, message, fix, numbers=numbers)
    elif budgets.impossible(budget):
        message = (
            f"it can never allow an eviction: it needs {budget.needed} of {budget.expected} pods healthy "
            f"({budgets.wording(budget)}), and {pods} of its pods are here"
        )
        fix = f"raise the replicas above {budget.needed}, or relax the budget by one pod"
        yield Finding("never", "pdb-impossible", name, message, fix, numbers=numbers)
    elif budget.allowed < 1:
        message = f"it allows no eviction now: it needs {budget.needed} healthy and has {budget.healthy}"
        fix = "nothing if its pods become healthy; the drain waits for that"
        yield Finding("warning", "pdb-exhausted", name, message, fix, numbers=numbers)
    if budgets.selects_everything(budget):
        message = "its selector is empty, so it guards every pod of its namespace together"
        yield Finding(
            "warning", "pdb-selects-all", name, message, "give it the labels of one workload", numbers=numbers
        )
