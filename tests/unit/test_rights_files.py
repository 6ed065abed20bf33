"""docs/iam and docs/rbac against the code that uses them: what is granted is what is called."""

import ast
from pathlib import Path

import pytest

from pulumi_nodepools.cluster.rights import CLUSTER_RULES, FORCE_RULE, RECORD_RULES, SURGE_RULE, Rule
from sandbox.engine import REPOSITORY
from tests.rights_case import granted_by_iam, granted_by_rbac

LIBRARY = REPOSITORY / "components" / "pulumi_nodepools"
PLUGINS = REPOSITORY / "sandbox" / "plugins"
PREFIX = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
OPTIONAL = {"ssm:GetParameter", "secretsmanager:GetSecretValue"}
"""Reading the join token: whoever grants it has the token checked. docs/security.md says how."""
FREE = {"sts:GetCallerIdentity"}
"""Nobody has to be allowed to ask who he is."""
SERVICES = {"aws_group.py": "autoscaling", "aws_iam.py": "iam", "aws_template.py": "ec2", "aws_cloud.py": "sts"}
"""Which service a module of the plugin asks. aws.py answers functions that this project's programs do not call."""
UNTESTED = ("AskedByAwsItselfWhenGroupsAreMade", "GiveNodesTheirRole", "AskedByTheProvidersOfLaterReleases")
"""Statements of which docs/security.md says why nothing here asks for them."""


def _camel(operation: str) -> str:
    return "".join(word.title() for word in operation.split("_"))


def _strings(tree: ast.Module) -> dict[str, str]:
    """Module-level constants that are text."""
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def _calls_of_library() -> set[str]:
    """Every `call` and `pages` of a Session, and of the helpers that call what they are told."""
    found = set()
    for file in LIBRARY.rglob("*.py"):
        tree = ast.parse(file.read_text())
        known = _strings(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            words = [
                known.get(one.id) if isinstance(one, ast.Name) else getattr(one, "value", None) for one in node.args
            ]
            if called in {"call", "pages"} and len(words) >= 2 and all(isinstance(word, str) for word in words[:2]):
                found.add(f"{PREFIX.get(words[0], words[0])}:{_camel(words[1])}")
            elif called in {"_pages", "_change"} and isinstance(words[1], str):
                found.add(f"{PREFIX[known['SERVICE']]}:{_camel(words[1])}")
    return found


def test_the_policies_grant_exactly_what_the_library_calls() -> None:
    called = _calls_of_library()
    assert len(called) > 10, "the calls were not found"
    assert granted_by_iam("drain.json") | granted_by_iam("eks.json") | OPTIONAL | FREE == called


def _calls_of_plugin() -> set[str]:
    """Every operation of a boto3 client: a call of what `_api` or `client(…)` gives."""
    found = set()
    for file, service in SERVICES.items():
        for node in ast.walk(ast.parse((PLUGINS / file).read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value.func if isinstance(node.func.value, ast.Call) else node.func.value
                if isinstance(of, ast.Attribute) and of.attr in {"_api", "client"}:
                    found.add(f"{service}:{_camel(node.func.attr)}")
    return found


def test_up_json_grants_exactly_what_the_plugin_calls() -> None:
    called = _calls_of_plugin()
    assert "autoscaling:SetInstanceProtection" in called, "it lifts the protection of instances that are to go"
    assert granted_by_iam("up.json", leave_out=UNTESTED) | FREE == called


def test_preview_json_grants_nothing_that_drain_json_does_not() -> None:
    assert granted_by_iam("preview.json") < granted_by_iam("drain.json")
    assert all(
        action.partition(":")[2].startswith(("Describe", "Get", "List")) for action in granted_by_iam("preview.json")
    )


def _granted(rules: tuple[Rule, ...]) -> set[tuple[str, str, str]]:
    return {(rule.group, resource, verb) for rule in rules for resource in rule.resources for verb in rule.verbs}


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("drain.yaml", (*CLUSTER_RULES, *RECORD_RULES)),
        ("force.yaml", (FORCE_RULE,)),
        ("surge.yaml", (SURGE_RULE,)),
    ],
)
def test_the_files_for_drains_grant_what_drainer_access_grants(file: str, rules: tuple[Rule, ...]) -> None:
    assert granted_by_rbac(file) == _granted(rules)


def test_a_preview_may_read_only() -> None:
    granted = granted_by_rbac("preview.yaml")
    assert granted < granted_by_rbac("drain.yaml")
    assert {verb for _, _, verb in granted} == {"get", "list"}


def test_what_has_a_reason_stands_in_the_security_page() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()
    assert all(f"`{reason}`" in page for reason in (*OPTIONAL, *UNTESTED))
    for file in (*Path(REPOSITORY / "docs" / "iam").iterdir(), *Path(REPOSITORY / "docs" / "rbac").iterdir()):
        assert f"{file.parent.name}/{file.name}" in page
