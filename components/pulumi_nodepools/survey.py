"""One look at account and cluster before anything is planned: who serves, what is there already, what is missing.

Only reads. It runs in every preview, so that a missing right or a full subnet is known before anything is changed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pulumi_nodepools import expiry, join_token, node_access
from pulumi_nodepools.aws import groups, quotas, subnets
from pulumi_nodepools.aws import preflight as aws_preflight
from pulumi_nodepools.aws import rights as aws_rights
from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.bootstrap import EksJoin, KubeadmJoin
from pulumi_nodepools.cluster import preflight, rights
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.record import PoolRecord, Record
from pulumi_nodepools.drain.preflight import Finding, Successor
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import (
    AccessDeniedError,
    AwsError,
    ConfigError,
    CredentialsExpiredError,
    JoinTokenError,
)
from pulumi_nodepools.names import CANARY_SUFFIX, canary_name, group_name


@dataclass(frozen=True)
class Survey:
    """What was found. `live_size` is the desired capacity of the version that serves; None if none does."""

    account: str
    cluster_uid: str
    serving: str | None
    live_size: int | None
    subnet_zones: dict[str, str]
    free_addresses: dict[str, int]
    warnings: tuple[str, ...] = ()
    """What does not stop this run, but a later one."""
    notes: tuple[str, ...] = ()
    """What could not be looked at."""
    existing: Mapping[str, tuple[GroupView, ...]] = field(default_factory=dict)
    """The full groups of each listed version that has any."""
    pending: str = ""
    """The version that a run began to bring into service without coming to its end."""
    replica: Mapping[str, Any] = field(default_factory=dict)
    """How the nodes of the serving version are made; empty if that is not known."""
    creates: bool = True
    """Whether the active version has no group yet, so that new instances would be paid for."""
    findings: tuple[Finding, ...] = ()
    """What would hold or hurt the drain of the pool's other versions."""


def survey(
    *,
    cluster: str,
    pool: str,
    active: str,
    region: str,
    access: Access,
    subnet_ids: Mapping[str, Sequence[str]],
    initial: int = 0,
    join: KubeadmJoin | EksJoin | None = None,
    canaries: Mapping[str, int] | None = None,
    drain: DrainSettings | None = None,
    adopted: Mapping[str, str] | None = None,
    planned: Successor | None = None,
    instance_types: Mapping[str, str] | None = None,
    principals: Mapping[str, str] | None = None,
    only_looks: bool = False,
) -> Survey:
    """Look, and raise one clear error for what would stop the pool.

    `subnet_ids` are those of each listed version, `initial` counts when no version serves yet, `canaries` are the
    sizes of canaries, `adopted` the groups of adopted versions, `instance_types` and `principals` what new nodes run on
    and whom they run as (see node_access), by version. `planned` is what nodes of the active version will be like, save
    for their zones. `only_looks`: this run changes nothing, so rights that only a drain needs may lack.
    """
    session = Session(region, access.profile, access.role_arn)
    account = session.account()
    client = Client.connect(access)
    settings = drain or DrainSettings()
    lacking = [_rights(client, only_looks=only_looks)]
    record = PoolRecord(client, pool).load()
    zones, free = subnets.describe(session, sorted({one for listed in subnet_ids.values() for one in listed}))
    known = sorted(set(zones.values()))
    existing = {version: _groups(session, cluster, pool, version, known) for version in subnet_ids}
    existing |= {version: _adopted(session, pool, name) for version, name in (adopted or {}).items()}
    _require_adopted_listed(record, cluster, existing)
    serving = _serving(session, cluster, record, known)
    live_size = sum(view.desired for view in serving) if serving else None
    going = _going(active, record, existing, serving)
    asked = _asked(session, going, settings)
    lacking.append(str(asked))
    if str(asked) and not only_looks:
        raise AccessDeniedError(str(asked))
    token = join_token.check(session, client, join) if isinstance(join, KubeadmJoin) else None
    added = {} if existing[active] else {active: live_size if live_size is not None else initial}
    added |= {
        canary_name(version): count
        for version, count in (canaries or {}).items()
        if not _groups(session, cluster, pool, canary_name(version), known)
    }
    for called, count in added.items():
        offered = subnet_ids[called.removesuffix(CANARY_SUFFIX)]
        _require_addresses(pool, called, count, {subnet: free[subnet] for subnet in offered})
    successor = None
    if planned and not existing[active]:  # nodes that are there already are judged as they are
        successor = replace(planned, zones=tuple(sorted({zones[subnet] for subnet in subnet_ids[active]})))
    if token and token.stops and added:
        raise JoinTokenError(f"pool {pool}: {token.message}. Nothing was changed")
    short, unknown = _quota(session, added, instance_types or {})
    late = expiry.warnings(session, access, settings.total_timeout, datetime.now(UTC)) if going else []
    arriving = {one: who for one, who in (principals or {}).items() if one in added or canary_name(one) in added}
    strangers = (
        node_access.warnings(session, client, access.cluster_name or cluster, arriving, account)
        if isinstance(join, EksJoin)
        else []
    )
    warnings = (*lacking, token.message if token else "", short, *late, *strangers)
    held = aws_preflight.of_groups(session, going)
    return Survey(
        account=account,
        cluster_uid=client.cluster_uid,
        serving=record.serving,
        live_size=live_size,
        subnet_zones=zones,
        free_addresses=free,
        warnings=tuple(f"pool {pool}: {told}" for told in warnings if told),
        notes=tuple(f"pool {pool}: {told}" for told in (asked.unchecked, unknown) if told),
        existing={version: views for version, views in existing.items() if views},
        pending=record.pending,
        replica=record.replica,
        creates=active in added,
        findings=tuple(preflight.of_other_versions(client, pool, active, settings, successor, others=held)),
    )


def _rights(client: Client, *, only_looks: bool) -> str:
    """What these credentials lack in the cluster, before anything is read there that they may not read."""
    lacking = rights.lacking(client)
    if lacking and not only_looks:
        raise AccessDeniedError(lacking)
    return lacking


def _candidates(cluster: str, pool: str, version: str, zones: Sequence[str]) -> list[str]:
    """Every name that a group of the version may have: one for all zones, or one per zone."""
    return [group_name(cluster, pool, version), *(group_name(cluster, pool, version, zone) for zone in zones)]


def _groups(session: Session, cluster: str, pool: str, version: str, zones: Sequence[str]) -> tuple[GroupView, ...]:
    found = groups.describe(session, _candidates(cluster, pool, version, zones))
    return tuple(found[name] for name in sorted(found))


def _adopted(session: Session, pool: str, name: str) -> tuple[GroupView, ...]:
    found = groups.describe(session, [name])
    if not found:
        raise ConfigError(
            f"pools.{pool}.adopt.autoScalingGroup: there is no Auto Scaling group {name} in region {session.region}; "
            "correct the name, the region or the AWS profile, or remove adopt. Nothing was changed"
        )
    return tuple(found.values())


def _require_adopted_listed(record: Record, cluster: str, listed: Collection[str]) -> None:
    """An adopted version has no hook that would drain it once it is not listed: only the cutover does."""
    groups_of = {name: record.serving for name in record.serving_groups if record.serving}
    if record.pending:
        groups_of |= {name: was.version for name, was in record.frozen.items()}
    for name, version in groups_of.items():
        foreign = not name.startswith(group_name(cluster, record.pool, version or ""))
        if foreign and version not in listed:
            raise ConfigError(
                f"pool {record.pool}: version {version}, the adopted group {name}, is no longer listed but its nodes "
                "are not drained. Keep adopt while another version is made active (`pulumi up` drains it), then "
                "remove it. Nothing was changed"
            )


def _serving(session: Session, cluster: str, record: Record, zones: Sequence[str]) -> list[GroupView]:
    if record.serving is None:
        return []
    names = record.serving_groups or _candidates(cluster, record.pool, record.serving, zones)
    return list(groups.describe(session, names).values())


def _going(
    active: str, record: Record, existing: Mapping[str, Sequence[GroupView]], serving: Sequence[GroupView]
) -> list[GroupView]:
    """The groups that will be drained once the active version serves, those of unlisted versions included."""
    others = [view for version, views in existing.items() if version != active for view in views]
    left = [*others, *(serving if record.serving != active else ())]
    return list({view.name: view for view in left}.values())


def _asked(session: Session, going: Sequence[GroupView], settings: DrainSettings) -> aws_rights.Answer:
    if not going:
        return aws_rights.Answer("")
    balancers = settings.load_balancers == "deregister"
    return aws_rights.ask(session, [view.arn for view in going], balancers=balancers)


def _quota(session: Session, added: Mapping[str, int], kinds: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong with the quota for the nodes that are added, and why that cannot be told, if so."""
    wanted: dict[str, int] = defaultdict(int)
    for called, count in added.items():
        if kind := kinds.get(called.removesuffix(CANARY_SUFFIX)):
            wanted[kind] += count
    try:
        return quotas.shortage(session, wanted), ""
    except CredentialsExpiredError:
        raise
    except (AccessDeniedError, AwsError) as error:
        return "", f"the quota of vCPUs was not looked at: {error}"


def _require_addresses(pool: str, version: str, nodes: int, free: Mapping[str, int]) -> None:
    total = sum(free.values())
    if free and total < nodes:
        named = ", ".join(f"{subnet} {count}" for subnet, count in sorted(free.items()))
        raise ConfigError(
            f"subnetIds of pool {pool}: {total} free addresses ({named}), but version {version} adds {nodes} nodes "
            "while the old ones still run; free addresses or add a subnet. Nothing was changed"
        )
