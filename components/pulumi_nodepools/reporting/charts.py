"""The pictures of a report, each from one part of it."""

import math
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from pulumi_nodepools.reporting.document import Capacity, Comparison, Drain, Interruption, Node, Runs
from pulumi_nodepools.reporting.figures import Wait, evictions_per_second, percent, waits
from pulumi_nodepools.reporting.markup import el
from pulumi_nodepools.reporting.plot import Plot, legend, round_step
from pulumi_nodepools.units import duration

_TOP = 10.0
_LABELLED_ROWS = 60
"""More nodes than this are drawn as thin rows without names."""
_BUDGETS = 20
_NAMES_WIDTH = 190.0


def capacity(found: Capacity, seconds: float, interruptions: Sequence[Interruption] = ()) -> list[Element]:
    """Ready nodes over time: those that go on top of those that stay, with the floor."""
    top = max([point.blue + point.green for point in found.points] + [found.floor or 0, 1])
    plot = Plot(seconds, 220, top * 1.1)
    total = [(point.at, float(point.blue + point.green)) for point in found.points]
    green = [(point.at, float(point.green)) for point in found.points]
    marks = [
        plot.bar((one.began, seconds if one.ended is None else one.ended), (_TOP, 220), "interruption", _told(one))
        for one in interruptions
    ]
    keys = [("blue", "old nodes"), ("green", "new or staying nodes"), ("total", "all ready nodes")]
    lines = [el("path", class_="area blue", d=plot.area(total)), el("path", class_="area green", d=plot.area(green))]
    lines += [el("path", class_="line total", d=plot.steps(total))]
    if found.floor is not None:
        lines.append(plot.level(found.floor, "line floor"))
        keys.append(("floor", f"floor: {found.floor}"))
    if marks:
        keys.append(("interruption", "interruption"))
    label = "Ready and schedulable nodes over time"
    return [plot.svg(label, plot.value_axis(max(1.0, round_step(top, 6))), *lines, *marks), legend(keys)]


def _told(one: Interruption) -> str:
    foreseen = "predicted" if one.predicted else "not predicted"
    lasted = "still lasts" if one.ended is None else duration(one.ended - one.began)
    return f"{one.kind} {one.subject}: {one.detail}, {lasted}, {foreseen}"


def nodes(drain: Drain) -> list[Element]:
    """A row per node, in the order in which they were emptied: cordoned, evicting, done."""
    rows = sorted(
        drain.nodes.items(), key=lambda item: (_or_end(item[1].evict.start), _or_end(item[1].evict.end), item[0])
    )
    named = len(rows) <= _LABELLED_ROWS
    height = 20.0 if named else max(3.0, 1200.0 / len(rows))
    plot = Plot(drain.run.seconds, height * len(rows), left=_NAMES_WIDTH if named else 44.0)
    short = _short([name for name, _ in rows])
    drawn: list[Element] = []
    for index, (name, node) in enumerate(rows):
        y = _TOP + index * height
        if named:
            drawn.append(el("text", short[name], class_="row", x=plot.left - 8, y=y + height * 0.68, text_anchor="end"))
        drawn.extend(_node_bars(plot, name, node, y + height * 0.15, height * 0.7))
    keys = [("cordoned", "cordoned"), ("evicting", "evicting"), ("done", "empty")]
    if any(node.lb.start is not None for node in drain.nodes.values()):
        keys.append(("leaving", "leaving load balancers"))
    if any(node.detach.start is not None for node in drain.nodes.values()):
        keys.append(("waiting", "volumes detaching"))
    if any(node.phase in ("skipped", "active") for node in drain.nodes.values()):
        keys.append(("stuck", "not emptied"))
    return [plot.svg("What happened to each node over time", drawn), legend(keys)]


def _node_bars(plot: Plot, name: str, node: Node, y: float, height: float) -> list[Element]:
    end = plot.seconds
    bars = []
    cordoned = node.cordon.end if node.cordon.end is not None else node.cordon.start
    begun, ended = node.evict.start, node.evict.end
    if cordoned is not None:
        until = end if begun is None else begun
        bars.append(plot.bar((cordoned, until), (y, height), "cordoned", f"{name}: cordoned at {duration(cordoned)}"))
    if begun is not None:
        until = end if ended is None else ended
        stuck = node.phase in ("skipped", "active")
        text = (
            f"{name}: {node.pods_left} pods left after {duration(until - begun)}"
            if stuck
            else (f"{name}: emptied in {duration(until - begun)}")
        )
        bars.append(plot.bar((begun, until), (y, height), "stuck" if stuck else "evicting", text))
    for part, class_, what in ((node.lb, "leaving", "leaving load balancers"), (node.detach, "waiting", "detaching")):
        if part.start is not None:
            span = part.start, end if part.end is None else part.end
            bars.append(plot.bar(span, (y, height), class_, f"{name}: {what} for {duration(span[1] - span[0])}"))
    if ended is not None and node.phase in ("done", "gone"):
        ended = ended if node.detach.end is None else node.detach.end
        bars.append(plot.bar((ended, end), (y, height), "done", f"{name}: {node.phase} at {duration(ended)}"))
    return bars


def _or_end(at: float | None) -> float:
    return math.inf if at is None else at


def _short(names: Sequence[str]) -> Mapping[str, str]:
    """Host names without their domain, where that still tells them apart."""
    hosts = [name.split(".")[0] for name in names]
    shorter = hosts if len(set(hosts)) == len(hosts) else names
    return {name: text if len(text) <= 26 else text[:25] + "…" for name, text in zip(names, shorter, strict=True)}


def evictions(drain: Drain) -> list[Element]:
    """How many evictions were accepted per second."""
    width, rates = evictions_per_second(drain)
    top = max([*rates, 1.0])
    plot = Plot(drain.run.seconds, 120, top * 1.1)
    bars = []
    for index, rate in enumerate(rates):
        if rate:
            since = index * width
            span = since, max(since, min(since + width, drain.run.seconds) - width * 0.1)
            text = f"{rate:.1f} per second, {duration(since)} after the start"
            bars.append(plot.bar(span, (plot.y(rate), plot.y(0) - plot.y(rate)), "rate", text))
    return [plot.svg("Evictions accepted per second", plot.value_axis(round_step(top, 4)), bars)]


def budgets(drain: Drain) -> list[Element]:
    """When pods waited for their budget, a row per budget."""
    found = waits(drain)
    shown = found[:_BUDGETS]
    height = 24.0
    plot = Plot(drain.run.seconds, height * len(shown), left=_NAMES_WIDTH)
    drawn: list[Element] = []
    for index, wait in enumerate(shown):
        y = _TOP + index * height
        name = wait.budget or "no budget"
        text = name if len(name) <= 26 else name[:25] + "…"
        drawn.append(el("text", el("title", name), text, class_="row", x=plot.left - 8, y=y + 16, text_anchor="end"))
        class_ = "stuck" if wait.left else "waiting"
        drawn.extend(plot.bar(span, (y + 4, 16), class_, _waited(wait, name)) for span in wait.spans)
    more = f"; {len(found) - len(shown)} more waited less long" if len(found) > len(shown) else ""
    keys = [("waiting", f"a pod under it waited for its eviction{more}")]
    if any(wait.left for wait in shown):
        keys.append(("stuck", "and was left"))
    return [plot.svg("When pods waited for their budgets", drawn), legend(keys)]


def _waited(wait: Wait, name: str) -> str:
    left = f", {wait.left} left" if wait.left else ""
    return f"{name}: {wait.pods} pods, the longest wait {duration(wait.longest)}{left}"


def comparison(found: Comparison) -> list[Element]:
    """How often the same job failed on old nodes and on the canary: a row each, the estimate within its interval."""
    rows = [("before", "old nodes", found.before), ("after", "canary", found.after)]
    rated = [(class_, name, runs, runs.rate) for class_, name, runs in rows if runs.rate is not None]
    height = 34.0
    # Up to the next tenth, so that the axis ends where a number stands.
    top = math.ceil(max([rate.high for *_, rate in rated] + [0.1]) * 10 - 1e-9) / 10
    plot = Plot(top, height * len(rated), left=_NAMES_WIDTH, shares=True)
    drawn: list[Element] = []
    for index, (class_, name, runs, rate) in enumerate(rated):
        y = _TOP + index * height
        text = f"{name}: {_failed(runs)}"
        drawn.append(el("text", text, class_="row", x=plot.left - 8, y=y + height * 0.6, text_anchor="end"))
        title = f"{text}: {percent(rate.value)}, between {percent(rate.low)} and {percent(rate.high)}"
        drawn.append(plot.bar((rate.low, rate.high), (y + 9, height - 18), class_, title))
        drawn.append(el("line", class_="estimate", x1=plot.x(rate.value), x2=plot.x(rate.value), y1=y + 5, y2=y + 29))
    sure = f"share of failed runs, with its {percent(found.confidence)} interval"
    keys = [(class_, f"{name}: {sure}") for class_, name, *_ in rated]
    return [plot.svg("Share of failed runs on old nodes and on the canary", drawn), legend(keys)]


def _failed(runs: Runs) -> str:
    return f"{runs.failures} of {runs.runs} failed"
