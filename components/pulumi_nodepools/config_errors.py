"""Errors in the stack's YAML: rules between several values, and pydantic's findings in words that name a fix.

A problem is (path, text). The rules work on the raw data and tolerate any shape, so that they can be reported together
with everything that the models found.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import names
from pulumi_nodepools.autoscaler_tags import node_template
from pulumi_nodepools.bootstrap import FAMILIES
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.lifecycle import contradictions

Problem = tuple[str, str]
_TAGGED = {"join": ("kubeadm", "eks"), "access": ("kubeconfig", "eks")}
_MAP = "a map; write {key: value}, or the keys below it"
_SHAPES = {
    "dict_type": _MAP,
    "model_type": _MAP,
    "model_attributes_type": _MAP,
    "tuple_type": "a list; write it in brackets, such as [first, second]",
    "string_type": "text; write it in quotes",
    "int_type": "a whole number; write it without quotes",
    "bool_type": "true or false; write it without quotes",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least {}"),
    "less_than_equal": ("le", "at most {}"),
}


def path(parts: Sequence[object]) -> str:
    """A path as one would write it: `pools.worker.versions."7.7.1908".imageId`."""
    text = ""
    for index, part in enumerate(parts):
        key_of_map = index and parts[index - 1] in ("pools", "versions", "labels", "tags")
        if isinstance(part, int) and not key_of_map:
            text += f"[{part}]"
        else:
            word = str(part) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", str(part)) else f'"{part}"'
            text += f".{word}" if text else word
    return text


def explain(root: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[Problem]:
    """pydantic's errors as problems, each naming the value and what to write instead."""
    return [_problem(root, error) for error in errors]


def _problem(root: type[BaseModel], error: ErrorDetails) -> Problem:
    parts = _without_tags(error["loc"])
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        field = _field(root, parts)
        return path(parts), f"missing; write {field.description}" if field and field.description else "missing"
    if kind == "extra_forbidden":
        return path(parts), _unknown_key(root, parts)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        known = ", ".join(_TAGGED[str(parts[-1])])
        found = "missing" if kind == "union_tag_not_found" else f"{checks.shown(context['tag'])} is not known"
        return path([*parts, "kind"]), f"{found}; write one of {known}"
    return path(parts), _text(kind, value, context, error["msg"])


def _text(kind: str, value: Any, context: Mapping[str, Any], message: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind in _SHAPES:
        return f"{checks.shown(value)} is not {_SHAPES[kind]}"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{checks.shown(value)} is out of range; write {words.format(context[key])}"
    if kind == "literal_error":
        return f"{checks.shown(value)} is not known; write one of {context['expected'].replace(' or ', ', ')}"
    return f"{checks.shown(value)}: {message[:1].lower()}{message[1:]}"


def _without_tags(parts: Sequence[int | str]) -> list[int | str]:
    """pydantic puts a union's tag into the path and marks a key's own error; the user wrote neither."""
    kept: list[int | str] = []
    for index, part in enumerate(parts):
        before = parts[index - 1] if index else ""
        is_tag = index == 2 and parts[0] == "cluster" and part in _TAGGED.get(str(before), ())
        if not is_tag and part != "[key]":
            kept.append(part)
    return kept


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that an annotation leads to in one step, through Optional, Annotated, unions, dicts and tuples."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    arguments = get_args(annotation)
    for argument in arguments[1:2] if get_origin(annotation) is dict else arguments:
        yield from _models(argument)


def _known(root: type[BaseModel], parts: Sequence[object]) -> dict[str, FieldInfo]:
    """The keys that may stand at `parts` (the path of a map), by the name users write."""
    models: list[type[BaseModel]] = [root]
    for part in parts:
        inner = [
            field.annotation
            for model in models
            for alias, field in _fields(model).items()
            if alias == part and field.annotation is not None
        ]
        # A part that names no field is a key of a dict of models: the models stay the same.
        models = [found for annotation in inner for found in _models(annotation)] if inner else models
    return {alias: field for model in models for alias, field in _fields(model).items()}


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field(root: type[BaseModel], parts: Sequence[object]) -> FieldInfo | None:
    return _known(root, parts[:-1]).get(str(parts[-1]))


def _unknown_key(root: type[BaseModel], parts: Sequence[object]) -> str:
    known = list(_known(root, parts[:-1]))
    lowered = {key.lower(): key for key in known}
    near = difflib.get_close_matches(str(parts[-1]).lower().replace("_", ""), lowered, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {lowered[near[0]]}?"
    return f"unknown key; known here: {', '.join(sorted(known))}"


def rules_between(raw: Mapping[str, Any]) -> list[Problem]:
    """What no single value shows: `active` listed, sizes in order, names that fit together, what is not there yet."""
    cluster = _map(raw.get("cluster"))
    pools = _map(raw.get("pools"))
    problems = [problem for name, pool in pools.items() for problem in _pool_rules(cluster, name, _map(pool))]
    return problems + _collisions(pools)


def _pool_rules(cluster: Mapping[Any, Any], name: object, pool: Mapping[Any, Any]) -> Iterator[Problem]:
    versions = _map(pool.get("versions"))
    at = ("pools", name)
    yield from _version_rules(at, pool.get("active"), versions, _map(pool.get("adopt")))
    yield from _size_rules((*at, "size"), _map(pool.get("size")))
    yield from _total_timeout((*at, "drain"), _map(pool.get("drain")))
    yield from _force((*at, "drain"), _map(pool.get("drain")))
    for version, own in versions.items():
        here = (*at, "versions", version)
        yield from _required_rules(cluster, at, pool, here, _map(own))
        yield from _join_rules(cluster, here, _map(own))
        yield from _tag_rules(here, str(name), str(version), {**pool, **_map(own)})
        each = _map(own).get("zones", pool.get("zones")) == "each"
        called = str(version) if _map(own).get("canary") is None else names.canary_name(str(version))
        try:
            if called != str(version):
                checks.name("canary's name", called)
            checks.combined_names(str(cluster.get("name", "")), str(name), called, per_zone=each)
        except ValueError as error:
            yield path(here), str(error)


def _version_rules(
    at: Sequence[object], active: object, versions: Mapping[Any, Any], adopt: Mapping[Any, Any]
) -> Iterator[Problem]:
    adopted = {adopt.get("version", "adopted"): adopt} if adopt else {}
    if not versions and not adopted:
        yield path((*at, "versions")), "is empty; list at least one"
    for version in adopted.keys() & versions.keys():
        yield path((*at, "adopt", "version")), f"{checks.shown(version)} is listed under versions too; rename one"
    versions = {**adopted, **versions}
    if _is_name(active) and versions and active not in versions:
        listed = ", ".join(checks.shown(str(version)) for version in versions)
        text = f"{checks.shown(active)} is not listed under versions; listed: {listed}"
        yield path((*at, "active")), f"{text}; add it there, or set active to one of these"
    for version, own in versions.items():
        here = (*at, "adopt") if version in adopted else (*at, "versions", version)
        if str(version).endswith(names.CANARY_SUFFIX):
            yield path(here), f"ends in {names.CANARY_SUFFIX}, as the canaries of versions are called; rename it"
        wanted = _map(own)
        asked = {"canary": wanted.get("canary") is not None, "retired": wanted.get("retired") is True}
        for key, text in contradictions(active=version == active, **asked):
            yield path((*here, key)), text


def _force(at: Sequence[object], drain: Mapping[Any, Any]) -> Iterator[Problem]:
    if _map(drain.get("force")) and drain.get("onTimeout") != "force":
        yield (
            path((*at, "force")),
            "says when a pod may be forced, but onTimeout is not force; set that, or leave it out",
        )


def _size_rules(at: Sequence[object], size: Mapping[Any, Any]) -> Iterator[Problem]:
    least, most, initial = (size.get(key) for key in ("min", "max", "initial"))
    if _whole(least) and _whole(most) and least > most:
        yield path((*at, "min")), f"{least} is more than max {most}; write min <= initial <= max"
    elif _whole(initial) and _whole(least) and initial < least:
        yield path((*at, "initial")), f"{initial} is less than min {least}; write min <= initial <= max"
    elif _whole(initial) and _whole(most) and initial > most:
        yield path((*at, "initial")), f"{initial} is more than max {most}; write min <= initial <= max"


def _total_timeout(at: Sequence[object], drain: Mapping[Any, Any]) -> Iterator[Problem]:
    for key in ("timeout", "totalTimeout", "detachTimeout", "deregistrationTimeout"):
        if drain.get(key) in ("0s", "0m", "0h"):
            yield path((*at, key)), f"{checks.shown(drain[key])} leaves no time; write it like 30m"
    limit = _map(drain.get("batchGate")).get("commandTimeout")
    if limit in ("0s", "0m", "0h"):
        yield path((*at, "batchGate", "commandTimeout")), f"{checks.shown(limit)} leaves no time; write it like 5m"


def _required_rules(
    cluster: Mapping[Any, Any],
    at: Sequence[object],
    pool: Mapping[Any, Any],
    here: Sequence[object],
    own: Mapping[Any, Any],
) -> Iterator[Problem]:
    """What a node cannot do without, and may stand on the pool or on the version."""
    hints = {
        "instanceType": "the EC2 instance type, such as m5.2xlarge",
        "subnetIds": "the subnets that nodes start in",
        "securityGroupIds": "the security groups of the nodes",
    }
    for key, hint in hints.items():
        if own.get(key) is None and pool.get(key) is None:
            yield path((*at, key)), f"missing; write {hint}, here or on {path(here)}"
    holder, where = (own, here) if own.keys() & {"instanceProfile", "rolePolicies"} else (pool, at)
    given = [key for key in ("instanceProfile", "rolePolicies") if holder.get(key) is not None]
    if len(given) == 2:
        yield (
            path((*where, "rolePolicies")),
            "stands beside instanceProfile, which has a role already; keep one of them",
        )
    if not given:
        text = "missing; name a profile of yours, or write rolePolicies: [...] and one is created ([] adds no policy)"
        yield path((*at, "instanceProfile")), text
    volume = _map(own.get("rootVolume", pool.get("rootVolume")))
    if volume.get("type") == "io2" and volume.get("iops") is None:
        yield path((*at, "rootVolume", "iops")), "missing; a volume of type io2 needs it, such as 3000"
    nothing = holder.get("rolePolicies") == [] and _map(cluster.get("join")).get("kind") == "eks"
    if nothing:
        yield path((*where, "rolePolicies")), "is empty; nodes of EKS need at least AmazonEKSWorkerNodePolicy"


def _join_rules(cluster: Mapping[Any, Any], here: Sequence[object], own: Mapping[Any, Any]) -> Iterator[Problem]:
    join, family = _map(cluster.get("join")), FAMILIES.get(str(own.get("osFamily")))
    if family and join.get("kind") in _TAGGED["join"] and join["kind"] not in family.joins:
        text = (
            f"{family.title} cannot join by {join['kind']} here; it needs cluster.join.kind {' or '.join(family.joins)}"
        )
        yield path((*here, "osFamily")), text
    if family and family.needs_service_cidr and join.get("kind") == "eks" and not join.get("serviceCidr"):
        text = f"missing; {family.title} joins by nodeadm, which needs the service addresses, such as 10.100.0.0/16"
        yield "cluster.join.serviceCidr", text


def _tag_rules(here: Sequence[object], pool: str, version: str, node: Mapping[Any, Any]) -> Iterator[Problem]:
    labels, taints = _map(node.get("labels")), node.get("taints")
    told = [taint for taint in taints if isinstance(taint, str)] if isinstance(taints, list) else []
    tags = [key for key in _map(node.get("tags")) if isinstance(key, str)]
    try:
        node_template(pool, version, labels={str(key): "" for key in labels}, taints=told, tags=tags)
    except ConfigError as error:
        yield path((*here, "tags")), str(error)


def _collisions(pools: Mapping[Any, Any]) -> list[Problem]:
    """`worker` at `gpu-v1` and `worker-gpu` at `v1` would be one name in AWS and in Pulumi's state."""
    seen: dict[str, str] = {}
    problems = []
    for name, pool in pools.items():
        for version in _map(_map(pool).get("versions")):
            here = path(("pools", name, "versions", version))
            full = [names.logical_name(str(name), one) for one in (str(version), names.canary_name(str(version)))]
            taken = next((one for one in full if one in seen), None)
            if taken:
                problems.append((here, f"has the same full name as {seen[taken]} ({taken}); rename one of them"))
            seen.update(dict.fromkeys(full, here))
    return problems


def _is_name(value: object) -> bool:
    """A value that is no name at all is reported as that, and not as missing from a list too."""
    try:
        return bool(checks.name("version name", value))
    except ValueError:
        return False


def _map(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
