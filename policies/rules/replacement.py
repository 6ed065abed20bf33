"""The version that takes over, beside the other listed versions of its pool: no smaller, in the same zones, alike.

A version that is no longer listed is not in the program, and no policy sees it: that its replacement is as large is
asked by the survey, by the drain's capacity guard, and by `nodepools ci-check` on the plan.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rule import UNKNOWN, Finding, Level, Resource, Severity, StackRule, Unknown
from .subjects import GATE, GROUP, LOCK, POOL_TAG, group_tags
from .values import number, strings, truth

Props = Mapping[str, Any]
VERSION_TAG = "nodepools.dev/version"
CANARY_SUFFIX = "-canary"
ALLOWED = ["imageId", "osFamily", "kernel", "taints"]


def check_size(resources: Sequence[Resource], _config: Props) -> Iterator[Finding]:
    """The active version has as many nodes as each other full version, and at least their subnets."""
    for gate in gates(resources):
        versions: dict[str, list[Resource]] = {}
        for group in (one for one in resources if one.type == GROUP):
            pool, version = (_tag(group, key) for key in (POOL_TAG, VERSION_TAG))
            if pool == gate.props.get("pool") and version and not version.endswith(CANARY_SUFFIX):
                versions.setdefault(version, []).append(group)
        active = gate.props.get("active")
        new = versions.pop(str(active), [])
        for version, old in sorted(versions.items()):
            yield from _compared(gate, f"version {active}", new, f"version {version}", old)


def gates(resources: Sequence[Resource]) -> list[Resource]:
    """One for each pool: it says which version is active. Components show no inputs to stack policies; gates do."""
    return [one for one in resources if one.type == GATE and truth(one.props.get("canary")) is not True]


def _tag(group: Resource, key: str) -> str:
    tags = group_tags(group.props)
    return "" if tags is UNKNOWN or key not in tags else str(tags[key].get("value"))


def _compared(
    pool: Resource, new_title: str, new: Sequence[Resource], old_title: str, old: Sequence[Resource]
) -> Iterator[Finding]:
    where = f"pool {pool.props.get('pool')}"
    nodes, had = _nodes(new), _nodes(old)
    if nodes is UNKNOWN or had is UNKNOWN:
        yield Finding(
            f"cannot judge {where} yet: how many nodes {new_title} or {old_title} has is unknown",
            pool.urn,
            judged=False,
        )
    elif nodes < had:
        yield Finding(f"{where}: {new_title} has {nodes:g} nodes in place of {had:g} of {old_title}.", pool.urn)
    subnets, before = _subnets(new), _subnets(old)
    if subnets is UNKNOWN or before is UNKNOWN:
        yield Finding(
            f"cannot judge {where} yet: the subnets of {new_title} or {old_title} are unknown", pool.urn, judged=False
        )
    elif before - subnets and had is not UNKNOWN and had > 0:
        yield Finding(
            f"{where}: {new_title} has no nodes in {', '.join(sorted(before - subnets))}, where {old_title} has some: "
            "volumes of that zone could not follow.",
            pool.urn,
        )


def _nodes(groups: Sequence[Resource]) -> float | Unknown:
    counts = [number(group.props.get("desiredCapacity", group.props.get("minSize"))) for group in groups]
    return UNKNOWN if UNKNOWN in counts else sum(count or 0.0 for count in counts)


def _subnets(groups: Sequence[Resource]) -> frozenset[str] | Unknown:
    places = [strings(group.props.get("vpcZoneIdentifiers")) for group in groups]
    return UNKNOWN if UNKNOWN in places else frozenset(one for place in places for one in place)


def check_differences(resources: Sequence[Resource], config: Props) -> Iterator[Finding]:
    """The active version differs from each other listed one only in `config.allowed`."""
    wanted = strings(config.get("allowed", ALLOWED))
    allowed = set(ALLOWED if wanted is UNKNOWN else wanted)
    for pool in gates(resources):
        active = pool.props.get("active")
        specs = {
            one.props.get("version"): one.props.get("spec")
            for one in resources
            if one.type == LOCK and one.props.get("pool") == pool.props.get("pool")
        }
        new = specs.pop(active, None)
        for version, old in specs.items():
            if not isinstance(new, Mapping) or not isinstance(old, Mapping):
                continue
            differing = [key for key in sorted({*new, *old} - allowed) if _differs(new.get(key), old.get(key))]
            if differing:
                yield Finding(
                    f"pool {pool.props.get('pool')}: version {active} differs from {version} in "
                    f"{', '.join(differing)}; what is tried with one is not proved for the other.",
                    pool.urn,
                )


def _differs(new: object, old: object) -> bool:
    """Unknown values, such as the id of a new security group, are no difference yet."""
    if UNKNOWN in (new, old):
        return False
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return any(_differs(new.get(key), old.get(key)) for key in {*new, *old})
    return new != old


RULES = (
    StackRule(
        name="nodepools-pool-replacement-size",
        description="The active version has as many nodes as each version that it can replace, in the same subnets.",
        why="The pods of the larger version do not fit; the drain stops half-way, with both versions half full.",
        fix="Raise size.min or size.max, or scale the other version down first; list the same subnetIds.",
        example="size: {min: 3, max: 20, initial: 14}",
        link="https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/",
        severity=Severity.CRITICAL,
        types=frozenset({GATE, GROUP}),
        check=check_size,
    ),
    StackRule(
        name="nodepools-pool-replacement-differences",
        description="Versions of a pool differ only in what is being changed: image, kernel, taints.",
        why="A new instance type beside a new image hides which of the two broke a workload.",
        fix="Change one thing per version, or add the key to `allowed` for this replacement.",
        example='"nodepools-pool-replacement-differences": {"allowed": ["imageId", "kernel", "instanceType"]}',
        link="https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/",
        level=Level.ADVISORY,
        severity=Severity.LOW,
        types=frozenset({GATE, LOCK}),
        config={
            "allowed": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "default": ALLOWED,
                "description": "Keys of a version in which versions may differ.",
            }
        },
        check=check_differences,
    ),
)
