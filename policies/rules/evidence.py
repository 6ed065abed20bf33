"""Evidence before promotion: a version becomes active only beside a resource that has watched it soak.

Which resource counts is configuration: the rule asks that one of these types speaks for exactly the pool and version
that are active. What it has seen, and for how long, is that resource's own business: its creation fails if it was too
little, and then there is no update to judge.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .replacement import gates
from .rule import UNKNOWN, Finding, Resource, Severity, StackRule
from .subjects import DYNAMIC
from .values import strings

Props = Mapping[str, Any]
TYPES = [f"{DYNAMIC}SoakGate"]


def check(resources: Sequence[Resource], config: Props) -> Iterator[Finding]:
    """Each pool that `config.pools` names has evidence for its active version."""
    pools, types = strings(config.get("pools")), strings(config.get("types", TYPES))
    if pools is UNKNOWN or types is UNKNOWN:
        return  # configuration is never unknown; its schema refuses everything else
    witnesses = [resource for resource in resources if resource.type in types]
    for pool in gates(resources):
        name, active = pool.props.get("pool"), pool.props.get("active")
        if not any(fnmatchcase(str(name), pattern) for pattern in pools):
            continue
        spoken = [witness.props.get("version") for witness in witnesses if witness.props.get("pool") == name]
        if active in spoken:
            continue
        if UNKNOWN in spoken:
            yield Finding(
                f"cannot judge pool {name} yet: for which version its evidence speaks is unknown",
                pool.urn,
                judged=False,
            )
            continue
        yield Finding(
            f"pool {name} makes {active} active, and no {' or '.join(_short(kind) for kind in types)} speaks for it.",
            pool.urn,
        )


def _short(kind: str) -> str:
    return kind.rpartition(":")[2]


RULES = (
    StackRule(
        name="nodepools-pool-soak-evidence",
        description="A version becomes active only with evidence of its soak (once `pools` is configured).",
        why="What has not run under load for days is tried out on everybody at once.",
        fix="Run the version as a canary until its soak has succeeded, and promote it then.",
        example='"nodepools-pool-soak-evidence": {"pools": ["worker"]}',
        link="https://sre.google/workbook/canarying-releases/",
        severity=Severity.HIGH,
        types=frozenset(),  # which ones count is configuration
        config={
            "pools": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "default": [],
                "description": "Pools that need evidence (`*` and `?` match). Empty: the rule asks nothing.",
            },
            "types": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "minLength": 1},
                "default": TYPES,
                "description": "Resource types that count as evidence; they have the properties `pool` and `version`.",
            },
        },
        check=check,
    ),
)
