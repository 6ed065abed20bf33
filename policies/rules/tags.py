"""Tags of a group: those by which instances are found again, and those that the cluster autoscaler believes."""

from collections.abc import Iterator, Mapping
from typing import Any

from .labels import taints_of
from .rule import UNKNOWN, Severity
from .subjects import POOL_TAG, Answer, NotYet, group_rule, group_tags
from .values import number, strings, texts, truth
from .zones import AUTOSCALER

Props = Mapping[str, Any]
REQUIRED = ["nodepools.dev/cluster", POOL_TAG, "nodepools.dev/version"]
OWN_LABELS = (POOL_TAG, "nodepools.dev/version", "nodepools.dev/validated")
LABEL = f"{AUTOSCALER}node-template/label/"
OWN = "nodepools.dev/"
TAINT = f"{AUTOSCALER}node-template/taint/"


def check_required(props: Props, config: Props, _pool: Props) -> Iterator[Answer]:
    """Each tag of `config.required` is there and goes on to the instances."""
    tags, wanted = group_tags(props), strings(config.get("required", REQUIRED))
    if tags is UNKNOWN:
        yield NotYet("its tags are unknown before the update")
        return
    for key in REQUIRED if wanted is UNKNOWN else wanted:
        onwards = truth(tags[key].get("propagateAtLaunch")) if key in tags else None
        if onwards is UNKNOWN:
            yield NotYet(f"whether the tag {key} goes on to instances is unknown before the update")
        elif key not in tags:
            yield f"it has no tag {key}: its instances belong to nobody."
        elif not onwards:
            yield f"its tag {key} has no propagateAtLaunch: its instances belong to nobody."


def check_autoscaler(props: Props, _config: Props, pool: Props) -> Iterator[Answer]:
    """Tags that describe nodes to the autoscaler say what nodes will have; from 0 it has nothing else to go by."""
    tags = group_tags(props)
    if tags is UNKNOWN or not any(key.startswith(AUTOSCALER) for key in tags) or "labels" not in pool:
        return
    labels, taints = texts(pool.get("labels")), taints_of(pool)
    if labels is UNKNOWN or taints is UNKNOWN:
        yield NotYet("labels or taints of its pool are unknown before the update")
        return
    wanted = {f"{LABEL}{key}": value for key, value in labels.items()}
    wanted |= {f"{TAINT}{key}": value for key, value in taints.items()}
    # What NodePool adds to every node is right to tell, and nobody waits for it.
    version = f"{pool.get('pool')}", f"{pool.get('version')}"
    own = {f"{LABEL}{key}": value for key, value in zip(OWN_LABELS, (*version, "-".join(version)), strict=True)}
    described = {key: tag.get("value") for key, tag in tags.items() if key.startswith((LABEL, TAINT))}
    # The library's own labels and taints stand on every node, and not among those that the version lists.
    told = {key: value for key, value in described.items() if not key.startswith((LABEL + OWN, TAINT + OWN))}
    for key, value in told.items():
        known = {**own, **wanted}.get(key)
        if value is not UNKNOWN and known != str(value):
            yield f"its tag {key} says {value!r}, but its nodes have {known or 'nothing of the kind'!r}."
    if number(props.get("minSize")) == 0:
        for key in sorted(wanted.keys() - told.keys()):
            yield f"it may shrink to 0, and has no tag {key}={wanted[key]}: no pod scales it up again."


RULES = (
    group_rule(
        check_required,
        name="nodepools-group-tags",
        description="Tags that say whose an instance is go on to every instance.",
        why="Audits, costs and the drain's own search for instances without a node go by these tags.",
        fix="Add the tag to the group with propagateAtLaunch true (NodePool does).",
        example='tags=[{"key": "nodepools.dev/pool", "value": "worker", "propagate_at_launch": True}]',
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html",
        severity=Severity.MEDIUM,
        config={
            "required": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "minLength": 1},
                "default": REQUIRED,
                "description": "The keys that must be there, such as a cost centre of yours.",
            }
        },
    ),
    group_rule(
        check_autoscaler,
        name="nodepools-group-autoscaler-tags",
        description="What a group's tags tell the cluster autoscaler is what its nodes have.",
        why="The autoscaler scales up for pods that cannot run there, again and again, or not at all from 0.",
        fix="Leave node-template tags for labels and taints out (NodePool adds them), or make them equal.",
        example='tags: {k8s.io/cluster-autoscaler/enabled: "true"}',
        link=("https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md"),
        severity=Severity.MEDIUM,
    ),
)
