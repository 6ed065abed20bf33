"""What a disruption budget says of itself: whether it can ever allow anything, and in whose words. Pure."""

from pulumi_nodepools.drain.model import BudgetView


def impossible(budget: BudgetView) -> bool:
    """Whether it allows no disruption even when every pod is healthy."""
    if budget.max_unavailable in ("0", "0%") or budget.min_available == "100%":
        return True
    return 0 < budget.expected <= budget.needed


def wording(budget: BudgetView) -> str:
    """Its limit as it is written."""
    if budget.max_unavailable:
        return f"maxUnavailable: {budget.max_unavailable}"
    return f"minAvailable: {budget.min_available}"


def selects_everything(budget: BudgetView) -> bool:
    """Whether its selector is empty: to policy/v1 that is every pod of the namespace."""
    return budget.selects and not budget.match_labels and not budget.match_expressions


def numbers(budget: BudgetView) -> dict[str, int | float | str]:
    """The budget and its status, for a diagnosis."""
    return {
        "budget": budget.path,
        "allowed": budget.allowed,
        "healthy": budget.healthy,
        "needed": budget.needed,
        "expected": budget.expected,
    }
