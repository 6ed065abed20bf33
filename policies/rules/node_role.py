"""What a node's role may do: few policies, nothing of everything, and only its own pool's launch hooks.

A node's role is one that a NodePool made, or whose name matches `roles` of the configuration.
"""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from .rule import UNKNOWN, Finding, Level, Resource, ResourceRule, Severity, Unknown
from .subjects import POOL, made_by_pool
from .values import items, strings

Props = Mapping[str, Any]
ROLE = "aws:iam/role:Role"
INLINE = "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
COMPLETE = "autoscaling:CompleteLifecycleAction"
MANAGED = [
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
    "CloudWatchAgentServerPolicy",
]
ROLES: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "default": [],
    "description": "Names of further roles that nodes use (`*` and `?` match), beside those that NodePools make.",
}
_GROUP_NAME = re.compile(r":autoScalingGroupName/(?P<name>.*)$")


def check_managed(resource: Resource, _seen: Mapping[str, Resource], config: Props) -> Iterator[Finding]:
    """Attached policies are among `config.policies`; no statement allows everything on everything."""
    if not _of_node(resource, config):
        return
    if resource.type == ATTACHMENT:
        yield from _attached(resource, resource.props.get("policyArn"), config)
    if resource.type == ROLE:
        for arn in items(resource.props.get("managedPolicyArns")) or ():
            yield from _attached(resource, arn, config)
    for statement in _statements(resource):
        if statement is UNKNOWN:
            yield _unjudged(resource, "its policy is unknown before the update")
        elif "*" in _listed(statement, "Action") and "*" in _listed(statement, "Resource"):
            yield Finding(f"{_title(resource)} allows every action on everything to every pod's node.", resource.urn)


def _attached(resource: Resource, arn: object, config: Props) -> Iterator[Finding]:
    allowed = strings(config.get("policies", MANAGED))
    if arn is UNKNOWN:
        yield _unjudged(resource, "policyArn is unknown before the update")
    elif str(arn).rpartition("/")[2] not in (MANAGED if allowed is UNKNOWN else allowed):
        yield Finding(
            f"{_title(resource)} gives nodes the policy {arn}, which is not one that nodes need.", resource.urn
        )


def check_launch_hook(resource: Resource, seen: Mapping[str, Resource], config: Props) -> Iterator[Finding]:
    """A statement that allows CompleteLifecycleAction names groups by a pattern with more than `*` in it."""
    if resource.type == POOL or not _of_node(resource, config):
        return
    pool = seen.get(resource.parent)
    for statement in _statements(resource):
        if statement is UNKNOWN:
            yield _unjudged(resource, "its policy is unknown before the update")
        elif any(fnmatchcase(COMPLETE.lower(), action.lower()) for action in _listed(statement, "Action")):
            wide = [one for one in _listed(statement, "Resource") if not _own(one, pool.props if pool else {})]
            if wide or not _listed(statement, "Resource"):
                yield Finding(
                    f"{_title(resource)} lets a node complete launch hooks of {', '.join(wide) or 'no resource'}: "
                    "it could let another pool's unproved instance into service.",
                    resource.urn,
                )


def _own(arn: str, pool: Props) -> bool:
    """Does the pattern begin with the pool's names, or, where they are not known, with any name?"""
    found = _GROUP_NAME.search(arn)
    if not found:
        return False
    cluster, name = pool.get("cluster"), pool.get("pool")
    if isinstance(cluster, str) and isinstance(name, str):
        return found["name"].startswith(f"{cluster}-{name}-")
    return len(re.split(r"[*?]", found["name"])[0]) > 1


def _of_node(resource: Resource, config: Props) -> bool:
    if made_by_pool(resource):
        return True
    patterns = strings(config.get("roles"))
    name = resource.props.get("name" if resource.type == ROLE else "role")
    listed = () if patterns is UNKNOWN else patterns
    return any(name is UNKNOWN or fnmatchcase(str(name), pattern) for pattern in listed)


def _statements(resource: Resource) -> Iterator[Props | Unknown]:
    """The allowing statements of the inline policies; UNKNOWN for a policy that is not known or cannot be read."""
    documents: list[object] = [resource.props.get("policy")] if resource.type == INLINE else []
    if resource.type == ROLE:
        inline = items(resource.props.get("inlinePolicies"))
        given: tuple[Any, ...] = (UNKNOWN,) if inline is UNKNOWN else inline
        documents = [one.get("policy") if isinstance(one, Mapping) else one for one in given]
    for document in documents:
        yield from _allowing(document)


def _allowing(document: object) -> Iterator[Props | Unknown]:
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        parsed = UNKNOWN  # AWS refuses it by itself
    statements = items(parsed.get("Statement")) if isinstance(parsed, Mapping) else UNKNOWN
    if statements is UNKNOWN:
        yield UNKNOWN
        return
    for statement in statements:
        if not isinstance(statement, Mapping) or statement.get("Effect") == "Allow":
            yield statement if isinstance(statement, Mapping) else UNKNOWN


def _listed(statement: Props, key: str) -> tuple[str, ...]:
    found = strings(statement.get(key))
    return ("*",) if found is UNKNOWN else found


def _title(resource: Resource) -> str:
    return f"{resource.type.rpartition(':')[2]} {resource.name!r}"


def _unjudged(resource: Resource, why: str) -> Finding:
    return Finding(f"cannot judge {_title(resource)} yet: {why}", resource.urn, judged=False)


RULES = (
    ResourceRule(
        name="nodepools-node-role-policies",
        description="A node's role has only policies that nodes need, and nothing that allows everything.",
        why="Whatever a node may do, a pod that breaks out may do; the CNI's rights let it rewire every other node.",
        fix="Attach policies of the list; give the CNI and other workloads roles of their own (IRSA, Pod Identity).",
        example="rolePolicies: [arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly]",
        link="https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html",
        level=Level.ADVISORY,
        severity=Severity.HIGH,
        types=frozenset({ROLE, INLINE, ATTACHMENT}),
        config={
            "roles": ROLES,
            "policies": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "default": MANAGED,
                "description": "Names (the end of the ARN) of the policies that are fine.",
            },
        },
        check=check_managed,
    ),
    ResourceRule(
        name="nodepools-node-role-launch-hook",
        description="A node may complete launch hooks of its own pool's groups only.",
        why="With a wider right, one node could let an instance of any group into service that has proved nothing.",
        fix="Scope the statement by name: …:autoScalingGroupName/<cluster>-<pool>-* (an ARN's id is not known before).",
        example='"Resource": "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/prod-worker-*"',
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/security_iam_id-based-policy-examples.html",
        severity=Severity.HIGH,
        types=frozenset({POOL, ROLE, INLINE}),
        config={"roles": ROLES},
        check=check_launch_hook,
    ),
)
