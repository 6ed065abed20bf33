"""What a pipeline must refuse although no policy sees it: dangerous flags, and what a plan deletes. Pure.

A policy is shown the resources of the program. Deletions, the state's own options and how Pulumi is called are not
among them; they stand in the preview's JSON, in workflow files and in the environment.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.update_plan import HOOK, Group, Step, UpdatePlan

VARIABLES = ("PULUMI_CONTINUE_ON_ERROR", "PULUMI_OPTION_CONTINUE_ON_ERROR")
_TRUE = r"(?:true|1|t|yes|on)\b"
_FLAG = re.compile(r"--continue-on-error\b(?!\s*=\s*[\"']?(?:false|0|f)\b)|\bcontinue_on_error\s*=\s*True\b")
_SETTING = re.compile(rf"\b(?:{'|'.join(VARIABLES)})[\"']?\s*[:=]\s*[\"']?{_TRUE}", re.IGNORECASE)
_WHY = "a version that could not be built does not keep the old one from being deleted"


@dataclass(frozen=True)
class Violation:
    """One thing to refuse: which check, on what, why, and what to do."""

    check: str
    object: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.object}: {self.message}. {self.fix}"

    def to_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """What a plan may do. `max_drain` is the share of all nodes that one update may drain, from 0 to 1."""

    max_drain: float = 1.0
    removable: frozenset[str] = frozenset()
    """Pools that may be removed, or made smaller, on purpose."""
    protected: frozenset[str] = frozenset()
    """Resource types that must be protected."""


def of_text(name: str, text: str) -> Iterator[Violation]:
    """Where a workflow file, a script or a command line lets an update go on after an error."""
    for number, line in enumerate(text.splitlines(), 1):
        code = "" if line.lstrip().startswith("#") else re.sub(r"\s#\s.*", "", line)
        found = _FLAG.search(code) or _SETTING.search(code)
        if found:
            yield Violation("continue-on-error", f"{name}:{number}", f"{found.group().strip()}: {_WHY}", "Remove it.")


def of_environment(environment: Mapping[str, str]) -> Iterator[Violation]:
    """The same switched on by the environment of this process."""
    for variable in VARIABLES:
        if re.fullmatch(_TRUE, environment.get(variable, ""), re.IGNORECASE):
            yield Violation("continue-on-error", variable, f"it is set: {_WHY}", "Unset it.")


def of_plan(plan: UpdatePlan, limits: Limits) -> Iterator[Violation]:
    """What a previewed update must not do."""
    groups = plan.groups
    for pool in sorted({group.pool for group in groups}):
        yield from _of_pool(pool, [group for group in groups if group.pool == pool], plan.active.get(pool), limits)
    for group in groups:
        if group.step.fate == "deleted":
            yield from _undrained(group.step, plan)
    yield from _share(groups, limits)
    yield from _unprotected(plan, limits)


def _of_pool(pool: str, groups: Sequence[Group], active: str | None, limits: Limits) -> Iterator[Violation]:
    for group in groups:
        if group.step.fate == "replaced":
            text = f"the plan replaces the group of version {group.version} in place, with its nodes"
            yield Violation("group-replaced", group.step.name, text, "Add a new version instead of changing this one.")
        elif group.step.fate == "deleted" and group.version == active:
            text = f"the plan deletes a group of version {active}, which the program makes active"
            yield Violation("active-deleted", group.step.name, text, "Preview without --target and --exclude.")
    if pool in limits.removable:
        return
    before, after = sum(group.before for group in groups), sum(group.after for group in groups)
    fix = f"If that is meant: --allow-removal {pool}."
    if all(group.step.fate == "deleted" for group in groups):
        yield Violation("pool-removed", f"pool {pool}", f"the plan deletes all its versions, with {before} nodes", fix)
    elif after < before and any(group.step.fate == "deleted" for group in groups):
        text = f"it has {before} nodes, and {after} after the plan: a replacement must not be smaller"
        yield Violation("smaller", f"pool {pool}", text, fix)


def _undrained(group: Step, plan: UpdatePlan) -> Iterator[Violation]:
    hooks = [hook for hook in plan.of_type(HOOK) if group.urn in (hook.old.get("dependencies") or [])]
    draining = [hook for hook in hooks if hook.fate == "deleted"]
    fix = "Run an update with its DrainHook in the program first."
    if not draining:
        yield Violation("undrained", group.name, "the plan deletes it, and no hook drains it before", fix)
    gone = {step.urn for step in plan.steps if step.fate == "deleted"}
    for hook in draining:
        if hook.old.get("deletedWith") in gone:
            text = f"its hook {hook.name} is skipped, because it is deleted with {hook.old['deletedWith']}"
            yield Violation("undrained", group.name, text, "Take deleted_with off the hook, unless its cluster goes.")


def _share(groups: Sequence[Group], limits: Limits) -> Iterator[Violation]:
    total = sum(group.before for group in groups)
    drained = sum(group.before for group in groups if group.step.fate in {"deleted", "replaced"})
    if drained > limits.max_drain * total:
        share = f"{drained} of {total} nodes ({drained / total:.0%})"
        text = f"the plan drains {share}, more than the {limits.max_drain:.0%} that one update may"
        yield Violation("drain-share", "all pools", text, "Move the pools one after the other.")


def _unprotected(plan: UpdatePlan, limits: Limits) -> Iterator[Violation]:
    for step in plan.steps:
        if step.type in limits.protected and step.fate != "deleted" and not step.state.get("protect"):
            fix = "Give it pulumi.ResourceOptions(protect=True)."
            yield Violation("unprotected", step.name, f"{step.type} is not protected against deletion", fix)


def report(violations: Sequence[Violation]) -> dict[str, Any]:
    """The command's JSON document."""
    return {
        "schemaVersion": 1,
        "command": "ci-check",
        "outcome": "blocked" if violations else "ok",
        "violations": [violation.to_json() for violation in violations],
        "diagnosis": [Diagnosis(one.check, one.object, "", one.message, one.fix).to_json() for one in violations],
    }
