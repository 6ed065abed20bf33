"""Turns the rules into a Pulumi policy pack: the only module that knows pulumi_policy. Judging is left to the rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from . import RULES
from .rule import UNKNOWN, Finding, Resource, ResourceRule, Rule, StackRule


def serve() -> None:
    """Build the pack and answer the engine until it hangs up."""
    PolicyPack(name="nodepools", enforcement_level=EnforcementLevel.MANDATORY, policies=policies())


def policies() -> list[Policy]:
    """One fresh policy object per rule."""
    return [_resource_policy(rule) if isinstance(rule, ResourceRule) else _stack_policy(rule) for rule in RULES]


def _resource_policy(rule: ResourceRule) -> ResourceValidationPolicy:
    seen: dict[str, Resource] = {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in rule.types:
            return
        parent = args.opts.parent or ""
        resource = Resource(args.resource_type, args.urn, args.name, plain(args.props), parent)
        seen[args.urn] = resource
        _answer(rule.check(resource, seen, plain(args.get_config())), report)

    return ResourceValidationPolicy(validate=validate, **_facts(rule))


def _stack_policy(rule: StackRule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_stack_resource(found) for found in args.resources if found.resource_type in rule.types]
        _answer(rule.check(resources, plain(args.get_config())), report)

    return StackValidationPolicy(validate=validate, **_facts(rule))


def _facts(rule: Rule) -> dict[str, Any]:
    schema = PolicyConfigSchema(properties={key: dict(value) for key, value in rule.config.items()})
    return {
        "name": rule.name,
        "description": rule.description,
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": schema,
        "remediation_steps": rule.fix,
    }


def _stack_resource(found: PolicyResource) -> Resource:
    edges = [*found.dependencies, *(edge for edges in found.property_dependencies.values() for edge in edges)]
    return Resource(
        found.resource_type,
        found.urn,
        found.name,
        plain(found.props),
        found.parent.urn if found.parent else "",
        tuple(dict.fromkeys(edge.urn for edge in edges)),
    )


def _answer(findings: Iterable[Finding], report: ReportViolation) -> None:
    unjudged: list[str] = []
    for finding in findings:
        if finding.judged:
            report(finding.message, finding.urn or None)
        else:
            unjudged.append(finding.message)
    if unjudged:
        # Last, because it ends the validation; violations reported before it stand.
        raise _cannot_judge("; ".join(unjudged))


def _cannot_judge(message: str) -> Exception:
    """How a mandatory policy says "not yet": the SDK turns this into an advisory that is shown and stops nothing."""
    error = UnknownValueError(UNKNOWN_STRING_VALUE, [])
    error.message = message
    result: Exception = error
    return result


def plain(value: Any) -> Any:
    """A copy of a property value without the SDK's proxies, which raise wherever an unknown value is touched."""
    if isinstance(value, Mapping):
        return {str(key): _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
