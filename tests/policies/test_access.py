"""Rules about who reaches a node and what a node may do: security groups and roles."""

import json

import pytest

from policies.rules.exposure import NEW_RULE, OLD_RULE, SECURITY_GROUP
from policies.rules.node_role import ATTACHMENT, INLINE, ROLE
from policies.rules.rule import UNKNOWN, Resource
from policies.rules.subjects import POOL
from tests.policies.rule_case import NAMES, POOL_URN, START, judge, pool, stranger, verdict

SSH, POLICIES = "nodepools-security-group-ssh", "nodepools-node-role-policies"
HOOK = "nodepools-node-role-launch-hook"
WORLD, OFFICE = "0.0.0.0/0", "203.0.113.0/24"
GROUPS = "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:*:autoScalingGroupName"
READONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"


def ingress(**rule: object) -> Resource:
    return stranger(SECURITY_GROUP, ingress=[{"protocol": "tcp", "fromPort": 22, "toPort": 22} | rule])


def of_node(kind: str, **props: object) -> Resource:
    return Resource(kind, f"{START}nodepools:aws:BlueGreenNodePool${POOL}${kind}::r", "r", props, POOL_URN)


def statement(*, action: object = "autoscaling:CompleteLifecycleAction", resource: object = "*") -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


@pytest.mark.parametrize(
    ("expected", "resource"),
    [
        ("good", ingress(cidrBlocks=[OFFICE])),
        ("good", ingress(cidrBlocks=[WORLD], fromPort=443, toPort=443)),
        ("good", ingress(cidrBlocks=[WORLD], protocol="udp")),
        ("good", stranger(SECURITY_GROUP)),
        ("good", stranger(OLD_RULE, type="egress", protocol="-1", cidrBlocks=[WORLD])),
        ("bad", ingress(cidrBlocks=[OFFICE, WORLD])),
        ("bad", ingress(ipv6CidrBlocks=["::/0"], fromPort="0", toPort="65535")),
        ("bad", ingress(cidrBlocks=[WORLD], protocol="-1", fromPort=0, toPort=0)),
        ("bad", stranger(OLD_RULE, type="ingress", protocol="6", fromPort=20, toPort=30, cidrBlocks=[WORLD])),
        ("bad", stranger(NEW_RULE, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4=WORLD)),
        ("unknown", stranger(SECURITY_GROUP, ingress=UNKNOWN)),
        ("unknown", ingress(cidrBlocks=[UNKNOWN])),
        ("unknown", stranger(NEW_RULE, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4=UNKNOWN)),
        ("bad", ingress(cidrBlocks=[WORLD], fromPort=UNKNOWN)),
    ],
)
def test_ssh_from_everywhere(expected, resource):
    assert verdict(judge(SSH, resource)) == expected


@pytest.mark.parametrize(
    ("expected", "resource"),
    [
        ("good", of_node(ATTACHMENT, policyArn=READONLY)),
        ("good", of_node(INLINE, policy=statement())),
        ("good", of_node(ROLE, managedPolicyArns=[READONLY])),
        ("bad", of_node(ATTACHMENT, policyArn="arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")),
        ("bad", of_node(ROLE, managedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])),
        ("bad", of_node(INLINE, policy=statement(action=["*"]))),
        ("bad", of_node(ROLE, inlinePolicies=[{"policy": statement(action="*")}])),
        ("good", of_node(INLINE, policy=json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}))),
        ("unknown", of_node(ATTACHMENT, policyArn=UNKNOWN)),
        ("unknown", of_node(INLINE, policy=UNKNOWN)),
        ("unknown", of_node(INLINE, policy="{")),
        ("unknown", of_node(ROLE, inlinePolicies=UNKNOWN)),
    ],
)
def test_policies_of_nodes(expected, resource):
    assert verdict(judge(POLICIES, resource)) == expected


def test_further_policies_are_configuration():
    mine = of_node(ATTACHMENT, policyArn="arn:aws:iam::123456789012:policy/mine")
    assert verdict(judge(POLICIES, mine)) == "bad"
    assert judge(POLICIES, mine, policies=["mine"]) == []
    assert verdict(judge(POLICIES, of_node(ATTACHMENT, policyArn=READONLY), policies=[])) == "bad"


@pytest.mark.parametrize(
    ("expected", "policy"),
    [
        ("good", statement(resource=f"{GROUPS}/prod-worker-*")),
        ("good", statement(resource=[f"{GROUPS}/prod-worker-7.7.1908"])),
        ("good", statement(action="ssm:GetParameter")),
        ("bad", statement()),
        ("bad", statement(resource=f"{GROUPS}/prod-*")),
        ("bad", statement(resource=f"{GROUPS}/*")),
        ("bad", statement(resource=[f"{GROUPS}/prod-worker-*", f"{GROUPS}/prod-gpu-*"])),
        ("bad", statement(action=["ssm:GetParameter", "AutoScaling:*"])),
        ("bad", statement(action="autoscaling:Complete*", resource=[])),
        ("unknown", UNKNOWN),
    ],
)
def test_a_node_completes_launch_hooks_of_its_own_pool_only(expected, policy):
    assert verdict(judge(HOOK, of_node(INLINE, policy=policy))) == expected


def test_without_its_pool_any_name_scopes_the_statement():
    unseen = stranger(POOL)
    assert judge(HOOK, of_node(INLINE, policy=statement(resource=f"{GROUPS}/prod-*")), unseen) == []
    assert verdict(judge(HOOK, of_node(INLINE, policy=statement(resource=f"{GROUPS}/*")), unseen)) == "bad"


@pytest.mark.parametrize("name", [HOOK, POLICIES])
def test_roles_of_others_are_judged_only_by_name(name):
    wide = stranger(INLINE, role="prod-nodes", policy=statement(action="*"))
    assert judge(name, wide) == []
    assert judge(name, wide, roles=["test-*"]) == []
    assert verdict(judge(name, wide, roles=["prod-*"])) == "bad"
    named = stranger(ROLE, name="prod-nodes", inlinePolicies=[{"policy": statement(action="*")}])
    assert verdict(judge(name, named, roles=["prod-*"])) == "bad"
    assert verdict(judge(name, stranger(INLINE, role=UNKNOWN, policy=statement(action="*")), roles=["p"])) == "bad"


def test_the_pool_itself_is_no_role():
    assert POOL in NAMES[HOOK].types
    assert judge(HOOK, pool()) == []
