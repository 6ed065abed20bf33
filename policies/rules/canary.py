"""A canary is small, on demand, of a fixed size, and takes only what asks for it: otherwise its soak proves nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, group_rule, template_rule
from .user_data import Problem, decode
from .values import inner, number, truth

Props = Mapping[str, Any]
TAINT = "nodepools.dev/canary"
LINK = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
MAXIMUM = 2


def check_taint(props: Props, _config: Props, pool: Props) -> Iterator[Answer]:
    """The nodes of a canary register with its taint."""
    if pool.get("state") != "canary":
        return
    data = props.get("userData")
    parts = data if data is UNKNOWN else decode(data)
    if parts is UNKNOWN:
        yield NotYet("its user data, which must register the canary's taint, is unknown before the update")
    elif isinstance(parts, Problem) or not any(TAINT in part.text for part in parts):
        yield f"its nodes do not register with the taint {TAINT}: any workload lands on an image that is being tried."


def check_size(props: Props, config: Props, pool: Props) -> Iterator[Answer]:
    """At most `config.maximum` nodes, and none that is scaled in."""
    if pool.get("state") != "canary":
        return
    low, high = number(props.get("minSize")), number(props.get("maxSize"))
    limit = number(config.get("maximum"))
    limit = limit if isinstance(limit, float) else float(MAXIMUM)
    if UNKNOWN in (low, high):
        yield NotYet("its sizes are unknown before the update")
    elif high is None or high > limit:
        yield f"it is a canary of up to {high or 0:g} nodes, more than {limit:g}: too much runs on an untried image."
    elif low != high and truth(props.get("protectFromScaleIn")) is not True:
        yield "it is a canary that may be scaled in during its soak: minSize and maxSize differ."


def check_market(props: Props, _config: Props, pool: Props) -> Iterator[Answer]:
    """No spot instances."""
    market = inner(props.get("instanceMarketOptions"), "marketType")
    if pool.get("state") != "canary":
        return
    if market is UNKNOWN:
        yield NotYet("instanceMarketOptions are unknown before the update")
    elif market == "spot":
        yield "it is a canary on spot instances: an interruption of EC2's looks like a fault of the image."


RULES = (
    template_rule(
        check_taint,
        name="nodepools-canary-taint",
        description="Only workloads that tolerate it run on a canary.",
        why="An image that nobody has tried would take whatever the scheduler puts there.",
        fix="Write the version with canary: {count: 1}; NodePool then registers the taint.",
        example="versions: {7.7.1908: {canary: {count: 1}}}",
        link=LINK,
        severity=Severity.HIGH,
    ),
    template_rule(
        check_market,
        name="nodepools-canary-on-demand",
        description="A canary runs on demand.",
        why="A soak that EC2 may interrupt is no evidence for or against the image.",
        fix="Remove instanceMarketOptions from the canary's template.",
        example="instance_market_options=None",
        link="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances.html",
        severity=Severity.MEDIUM,
    ),
    group_rule(
        check_size,
        name="nodepools-canary-size",
        description=f"A canary has at most {MAXIMUM} nodes and keeps them.",
        why="The more nodes, the more is at stake; a node that goes during its soak takes its evidence along.",
        fix="Write a smaller canary.count, and the same minSize and maxSize.",
        example="versions: {7.7.1908: {canary: {count: 1}}}",
        link=LINK,
        severity=Severity.MEDIUM,
        config={
            "maximum": {
                "type": "integer",
                "minimum": 1,
                "default": MAXIMUM,
                "description": "The largest number of nodes of a canary.",
            }
        },
    ),
)
