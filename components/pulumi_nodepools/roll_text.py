"""A roll plan for people: as Markdown for a pull request, or the same in a terminal. Pure.

Names and messages come from a cluster: they are escaped, so that no object's name becomes markup in a comment.
"""

import re
from collections.abc import Iterator

from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.roll_plan import Drain, Roll, RollPlan

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")
_NO_MENTION = "@\u200b"
"""A backslash does not keep GitHub from notifying whoever is named behind the sign; a blank of no width does."""
_SHOWN = 20


def markdown(plan: RollPlan) -> str:
    """A comment: a table of versions, then for each drain what moves and what stands in its way."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: RollPlan) -> Iterator[str]:
    yield "### Node pools"
    yield ""
    if not plan.rolls:
        yield "No node pool is in this stack."
        return
    yield "| pool | version | change | nodes before | nodes after |"
    yield "|---|---|---|---|---|"
    for roll in plan.rolls:
        for one in roll.versions:
            mark = " (active)" if one["version"] == roll.active else ""
            cells = (roll.pool, f"{one['version']}{mark}", one["change"], one["nodesBefore"], one["nodesAfter"])
            yield f"| {' | '.join(escaped(str(cell)) for cell in cells)} |"
    if plan.unreachable:
        yield ""
        yield "> **The cluster cannot be reached from here**, so pods, interruptions and blockers are not known: "
        yield f"> {escaped(plan.unreachable)}"
    for roll in plan.rolls:
        for drain in roll.drains:
            yield from _drain(roll, drain)
    if not any(roll.drains for roll in plan.rolls):
        yield ""
        yield "Nothing is drained."


def _drain(roll: Roll, drain: Drain) -> Iterator[str]:
    yield ""
    moved = "" if drain.look is None else f"; {drain.look.pods} pods move"
    batches = f"{drain.batches} batches of at most {drain.batch}"
    yield f"**{escaped(roll.pool)} {escaped(drain.version)}** is drained: {drain.nodes} nodes in {batches}{moved}."
    if drain.look is None:
        return
    yield from _listed("Blockers", [_finding(one) for one in drain.look.blockers])
    yield from _listed("Predicted interruptions", [escaped(one) for one in drain.look.interruptions])
    yield from _listed("Worth knowing", [_finding(one) for one in drain.look.notes])


def _listed(title: str, entries: list[str]) -> Iterator[str]:
    yield ""
    if not entries:
        yield f"{title}: none."
        return
    yield f"{title}:"
    yield ""
    yield from (f"- {entry}" for entry in entries[:_SHOWN])
    if len(entries) > _SHOWN:
        yield f"- … and {len(entries) - _SHOWN} more"


def _finding(finding: Diagnosis) -> str:
    return escaped(f"{finding.object}: {finding.reason}: {finding.message}. {finding.fix}")


def escaped(text: str) -> str:
    """The text as Markdown shows it: on one line, with every character that could be markup behind a backslash."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("@", _NO_MENTION)
