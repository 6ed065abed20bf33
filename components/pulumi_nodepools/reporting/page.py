"""report.html: one self-contained page without scripts and without anything from elsewhere, made from a report."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from xml.etree.ElementTree import Element

from pulumi_nodepools.reporting import charts
from pulumi_nodepools.reporting.document import Comparison, Demo, Diagnosis, Document, Drain, Failure, Soak
from pulumi_nodepools.reporting.figures import lowest, moved, percent, requests, waits
from pulumi_nodepools.reporting.markup import Child, el, html, number
from pulumi_nodepools.units import duration

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even if something slipped through: the browser runs no script and fetches nothing."""


def page(document: Document) -> str:
    """The whole document as HTML."""
    match document:
        case Demo():
            title, body = "Demo: a pool is patched", _demo(document)
        case Drain():
            title, body = f"Drain of {document.run.owner}", _drain_page(document)
        case Soak():
            title, body = f"Soak of {document.pool} {document.version}", _soak_page(document)
        case Failure():
            title, body = "Nothing was drained", _failure(document)
    style = files("pulumi_nodepools.reporting").joinpath("report.css").read_text("utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", style),
    )
    return html(el("html", head, el("body", el("main", body)), lang="en"))


def _drain_page(drain: Drain) -> list[Child]:
    started = datetime.fromtimestamp(drain.run.started_at, UTC)
    about = " · ".join(part for part in (drain.cluster, f"{started:%Y-%m-%d %H:%M:%S} UTC") if part)
    return [
        _header(f"Drain of {drain.run.owner}", drain.run.outcome, about, drain.error or drain.run.message),
        _tiles(_numbers(drain)),
        _section("Capacity", _capacity(drain)),
        _drain_sections(drain),
    ]


def _demo(demo: Demo) -> list[Child]:
    held = sum(claim.held for claim in demo.claims)
    outcome = "held" if held == len(demo.claims) else "broken"
    unpredicted = sum(not one.predicted for one in demo.interruptions)
    low = lowest(demo.capacity)
    jobs = {name: f"{failed} of {runs}" for name, (runs, failed) in demo.ci_runs.items()}
    tiles = [
        (f"{held}/{len(demo.claims)}", "claims held"),
        (str(unpredicted), "interruptions, beside those predicted"),
        (f"{low}/{demo.capacity.floor}", "fewest ready nodes / floor"),
        (jobs.get("unpatched", "?"), "CI runs failed on unpatched nodes"),
        (jobs.get("patched", "?"), "failed on patched nodes"),
        (duration(demo.up_seconds), "pulumi up"),
    ]
    claims = [("held" if claim.held else "BROKEN", claim.text, claim.detail) for claim in demo.claims]
    return [
        _header("A pool is patched", outcome, "demo on the sandbox", f"{held} of {len(demo.claims)} claims held"),
        _tiles(tiles),
        _section(
            "Capacity, as recorded from outside",
            charts.capacity(demo.capacity, demo.recorded_seconds, demo.interruptions),
        ),
        _section("Interruptions", _interruptions(demo)),
        _section("Claims", _table(("", "claim", "measured"), claims)),
        [_section(f"Soak of {soak.version}: {soak.outcome}", _soak(soak)) for soak in demo.soaks],
        _section("Steps", _table(("step", "time"), [(name, duration(took)) for name, took in demo.phases.items()])),
        [
            [el("h2", f"Drain of {drain.run.owner}", class_="part"), _tiles(_numbers(drain)), _drain_sections(drain)]
            for drain in demo.drains
        ],
    ]


def _soak_page(soak: Soak) -> list[Child]:
    title = f"Soak of {soak.pool} {soak.version}"
    return [_header(title, soak.outcome, soak.image, soak.reason), _section("Evidence", _soak(soak))]


def _soak(soak: Soak) -> list[Child]:
    compared, found = soak.comparison, [*soak.missing, *soak.doubts]
    gaps = f"; {duration(soak.gap_seconds)} do not count" if soak.gap_seconds else ""
    rated = compared.before.rate is not None or compared.after.rate is not None
    return [
        el("p", f"Watched for {duration(soak.watched_seconds)}{gaps}. ", _fewer(compared)),
        el("ul", [el("li", line) for line in found]) if found else None,
        charts.comparison(compared) if rated else None,
    ]


def _fewer(compared: Comparison) -> Child:
    """The difference in words; an interval around zero is no difference that could be told."""
    fewer = compared.fewer
    if fewer is None:
        return None
    points = f"{percent(fewer.value)} (of all runs; {percent(compared.confidence)} interval: "
    bounds = f"{percent(fewer.low)} to {percent(fewer.high)})."
    told = "was lower by" if fewer.low > 0 else "cannot be told from that on old nodes; the difference is"
    return f"The share of failed runs on the canary {told} {points}{bounds}"


def _failure(failure: Failure) -> list[Child]:
    return [
        _header("Nothing was drained", failure.outcome, "the command ended before its drain began", failure.error),
        _section("Diagnosis", _diagnosis(failure.diagnosis)),
    ]


def _drain_sections(drain: Drain) -> list[Child]:
    return [
        _section("Diagnosis", _diagnosis(drain.diagnosis)) if drain.diagnosis else None,
        _section("Nodes", charts.nodes(drain)) if drain.nodes else None,
        _section("Evictions per second", charts.evictions(drain)) if moved(drain) else None,
        _section("Waiting for budgets", charts.budgets(drain)) if waits(drain) else None,
        _section("Predicted interruptions", _predicted(drain)),
        _section("Deleted by force", _table(("pod", "node"), [(one.pod, one.node) for one in drain.forced]))
        if drain.forced
        else None,
        _section("API requests", _api(drain)),
        _more(
            f"{len(drain.events)} events",
            _table(
                ("at", "kind", "node", "message"),
                [(duration(event.at), event.kind, event.node, event.message) for event in drain.events],
            ),
        ),
        _more(f"{len(drain.pods)} pods", _pods(drain)),
        _more(
            f"{len(drain.skipped)} pods that stayed",
            _table(("pod", "node", "reason"), [(one.pod, one.node, one.reason) for one in drain.skipped]),
        ),
    ]


def _numbers(drain: Drain) -> list[tuple[str, str]]:
    done = sum(node.phase in ("done", "gone") for node in drain.nodes.values())
    gone = len(moved(drain))
    low, floor = lowest(drain.capacity), drain.capacity.floor
    per_pod = f"{requests(drain) / gone:.2f}" if gone else "none"
    tiles = [
        (f"{done}/{len(drain.nodes)}", "nodes drained"),
        (f"{gone}/{gone + sum(pod.outcome == 'left' for pod in drain.pods)}", "pods moved"),
        (duration(drain.run.seconds), "from first look to end"),
        (per_pod, "API requests per pod"),
    ]
    if low is not None and floor is not None:
        tiles.insert(2, (f"{low}/{floor}", "fewest ready nodes / floor"))
    return tiles


def _capacity(drain: Drain) -> Child:
    if not drain.capacity.points:
        return el("p", "The drain ended before it had seen the nodes.")
    return charts.capacity(drain.capacity, drain.run.seconds)


def _header(title: str, outcome: str, about: str, message: str) -> Element:
    good = outcome in ("drained", "held", "passed", "exempt")
    badge = el("span", outcome, class_=f"badge {'good' if good else 'bad'}")
    return el("header", el("p", about, class_="about"), el("h1", title, " ", badge), el("p", message, class_="message"))


def _tiles(entries: Iterable[tuple[str, str]]) -> Element:
    return el("dl", [el("div", el("dd", value), el("dt", name)) for value, name in entries], class_="tiles")


def _section(title: str, content: Child) -> Element:
    return el("section", el("h3", title), content)


def _more(title: str, content: Child) -> Element:
    return el("details", el("summary", title), content)


def _table(head: Sequence[str], rows: Iterable[Sequence[Child]]) -> Element:
    body = [el("tr", [el("td", cell, data_head=name) for name, cell in zip(head, row, strict=True)]) for row in rows]
    return el("table", el("thead", el("tr", [el("th", name, scope="col") for name in head])), el("tbody", body))


def _diagnosis(entries: Sequence[Diagnosis]) -> Child:
    def numbers(one: Diagnosis) -> str:
        return ", ".join(
            f"{name} {value if isinstance(value, str) else number(value)}" for name, value in one.numbers.items()
        )

    rows = [(one.reason, one.object, one.node, _because(one), numbers(one), one.fix) for one in entries]
    return _table(("reason", "object", "node", "what", "numbers", "what to do"), rows)


def _because(one: Diagnosis) -> Child:
    return [one.message, el("ul", [el("li", f"because {link}") for link in one.chain]) if one.chain else None]


def _interruptions(demo: Demo) -> Child:
    if not demo.interruptions:
        return el("p", "None. Predicted: ", ", ".join(demo.predicted_interruptions) or "none", ".")
    rows = [
        (
            f"{one.kind} {one.subject}",
            one.detail,
            duration(one.began),
            "still lasts" if one.ended is None else duration(one.ended - one.began),
            "predicted" if one.predicted else "NOT PREDICTED",
        )
        for one in demo.interruptions
    ]
    return _table(("what", "how", "at", "for", ""), rows)


def _predicted(drain: Drain) -> Child:
    if not drain.predicted_interruptions:
        return el("p", "None: everything that was moved has more than one replica.")
    why = "A single replica cannot be moved without a moment of absence:"
    return [el("p", why), el("ul", [el("li", name) for name in drain.predicted_interruptions])]


def _api(drain: Drain) -> Child:
    codes = sorted({code for counts in drain.api_calls.values() for code in counts})
    rows = [
        (verb, *(str(counts.get(code, "")) for code in codes), str(sum(counts.values())))
        for verb, counts in sorted(drain.api_calls.items())
    ]
    return el("div", _table(("verb", *codes, "all"), rows), class_="narrow")


def _pods(drain: Drain) -> Child:
    rows = [
        (
            f"{pod.namespace}/{pod.name}",
            pod.node,
            pod.budget,
            str(pod.attempts),
            duration(pod.blocked_seconds),
            pod.outcome,
        )
        for pod in drain.pods
    ]
    return _table(("pod", "node", "budget", "requests", "waited", "outcome"), rows)
