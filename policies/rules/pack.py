"""Turns the rules into a Pulumi policy pack: the only module that knows pulumi_policy. Judging is left to the rules."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from . import RULES, allowances
from .configuration import mistakes, schema
from .rule import UNKNOWN, Finding, Resource, ResourceRule, Rule, StackRule

Today = Callable[[], datetime.date]


def serve() -> None:
    """Build the pack and answer the engine until it hangs up."""
    PolicyPack(name="nodepools", enforcement_level=EnforcementLevel.MANDATORY, policies=policies())


def policies(today: Today = lambda: datetime.datetime.now(datetime.UTC).date()) -> list[Policy]:
    """One fresh policy object per rule; `today` decides which entries of allow-lists are over."""
    return [
        _resource_policy(rule, today) if isinstance(rule, ResourceRule) else _stack_policy(rule, today)
        for rule in RULES
    ]


def _resource_policy(rule: ResourceRule, today: Today) -> ResourceValidationPolicy:
    seen: dict[str, Resource] = {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in rule.types:
            return
        parent = args.opts.parent or ""
        resource = Resource(args.resource_type, args.urn, args.name, plain(args.props), parent)
        seen[args.urn] = resource
        config = plain(args.get_config())
        _answer(rule, config, rule.check(resource, seen, config), report, today())

    return ResourceValidationPolicy(validate=validate, **_facts(rule))


def _stack_policy(rule: StackRule, today: Today) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        wanted = [found for found in args.resources if not rule.types or found.resource_type in rule.types]
        config = plain(args.get_config())
        _answer(rule, config, rule.check([_stack_resource(found) for found in wanted], config), report, today())

    return StackValidationPolicy(validate=validate, **_facts(rule))


def _facts(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "description": rule.description,
        "enforcement_level": EnforcementLevel(rule.level.value),
        "severity": Severity(rule.severity.value),
        "config_schema": PolicyConfigSchema(properties=schema(rule)),
        "remediation_steps": rule.fix,
        "url": rule.link,
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


def _answer(
    rule: Rule, config: Mapping[str, Any], findings: Iterable[Finding], report: ReportViolation, today: datetime.date
) -> None:
    for mistake in mistakes(rule, config):
        report(mistake, None)
    unjudged: list[str] = []
    for finding in allowances.apply(findings, config.get("allow"), today):
        if finding.judged:
            report(f"{finding.message} Fix: {rule.fix}", finding.urn or None)
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
