"""Who can reach a node: no public address, no SSH key, no SSH from everywhere."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from .rule import UNKNOWN, Finding, Resource, ResourceRule, Severity
from .subjects import Answer, NotYet, template_rule
from .values import items, number, strings, truth

Props = Mapping[str, Any]
SSH = 22
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
NEW_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_SOURCES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6")


def check_address(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """Every network interface says that it has no public address; if none says anything, the subnet decides."""
    interfaces = items(props.get("networkInterfaces"))
    if interfaces is UNKNOWN:
        yield NotYet("networkInterfaces are unknown before the update")
        return
    if not interfaces:
        yield "it has no networkInterfaces, so the subnet decides whether nodes get public addresses."
    for interface in interfaces:
        given = interface.get("associatePublicIpAddress") if isinstance(interface, Mapping) else interface
        if given is UNKNOWN:
            yield NotYet("networkInterfaces[].associatePublicIpAddress is unknown before the update")
        elif given in (None, ""):
            yield "associatePublicIpAddress is not set, so the subnet decides whether nodes get public addresses."
        elif truth(given):
            yield "associatePublicIpAddress is true: every node gets a public address."


def check_key(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """`keyName` is not set."""
    key = props.get("keyName")
    if key is UNKNOWN:
        yield NotYet("keyName is unknown before the update")
    elif key:
        yield f"keyName is {key!r}: whoever has the key is root on every node, and nobody is told."


def check_ssh(resource: Resource, _seen: Mapping[str, Resource], _config: Props) -> Iterator[Finding]:
    """No rule of a security group lets the whole world reach port 22."""
    for rule in _ingress(resource):
        if rule is UNKNOWN:
            yield _unjudged(resource, "its rules are unknown before the update")
            continue
        sources = _world(rule)
        if sources and _reaches_ssh(rule):
            yield Finding(f"security group {resource.name!r} lets {', '.join(sources)} reach port {SSH}.", resource.urn)
        elif sources is None and _reaches_ssh(rule):
            yield _unjudged(resource, f"who may reach port {SSH} is unknown before the update")


def _ingress(resource: Resource) -> Iterator[Any]:
    if resource.type == OLD_RULE and resource.props.get("type") not in ("ingress", UNKNOWN):
        return
    if resource.type != SECURITY_GROUP:
        yield resource.props
        return
    rules = items(resource.props.get("ingress"))
    yield from [UNKNOWN] if rules is UNKNOWN else rules


def _world(rule: Props) -> list[str] | None:
    """Sources that mean everybody; None if one of them is unknown."""
    given = [strings(rule.get(key)) for key in _SOURCES]
    found = [source for sources in given if sources is not UNKNOWN for source in sources if _is_world(source)]
    return found or (None if UNKNOWN in given else [])


def _is_world(source: str) -> bool:
    try:
        return ip_network(source, strict=False).prefixlen == 0
    except ValueError:
        return False


def _reaches_ssh(rule: Props) -> bool:
    """Unknown ports count: what is asked here is whether the rule may let SSH in."""
    protocol = str(rule.get("protocol", rule.get("ipProtocol", "-1"))).lower()
    if protocol in {"-1", "all"}:
        return True
    first, last = number(rule.get("fromPort")), number(rule.get("toPort"))
    low = first if isinstance(first, float) else 0.0
    high = last if isinstance(last, float) else 65535.0
    return protocol in {"tcp", "6"} and low <= SSH <= high


def _unjudged(resource: Resource, why: str) -> Finding:
    return Finding(f"cannot judge security group {resource.name!r} yet: {why}", resource.urn, judged=False)


RULES = (
    template_rule(
        check_address,
        name="nodepools-launch-template-public-address",
        description="Nodes have no public address.",
        why="A node with a public address is one wrong security group away from the internet.",
        fix="Set associatePublicIpAddress of every network interface to false; nodes go out through a NAT gateway.",
        example='network_interfaces=[{"associate_public_ip_address": "false", "security_groups": [nodes.id]}]',
        link="https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-25",
        severity=Severity.HIGH,
    ),
    template_rule(
        check_key,
        name="nodepools-launch-template-ssh-key",
        description="Nodes have no SSH key.",
        why="A shared key cannot be taken back from one person, and its use is recorded nowhere.",
        fix="Leave keyName out and use SSM Session Manager (policy AmazonSSMManagedInstanceCore).",
        example='role_policies=["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]',
        link="https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager.html",
        severity=Severity.MEDIUM,
    ),
    ResourceRule(
        name="nodepools-security-group-ssh",
        description="No security group of the stack lets everybody reach port 22.",
        why="Port 22 of a node that is open to the world is found within minutes.",
        fix="Remove the rule and use SSM Session Manager, or name the network that needs it.",
        example='ingress=[{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["10.20.0.0/16"]}]',
        link="https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-13",
        severity=Severity.CRITICAL,
        types=frozenset({SECURITY_GROUP, OLD_RULE, NEW_RULE}),
        check=check_ssh,
    ),
)
