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
    live_zones: Mapping[str, int] = field(default_factory=dict)
    """How many nodes the version that serves has in each zone."""
    findings: tuple[Finding, ...] = ()
    """What would hold or hurt the drain of the pool's other versions."""


@dataclass(frozen=True, kw_only=True)
class SurveyArgs:
    """What a program plans of one pool, as far as it is judged here."""

    cluster: str
    pool: str
    active: str
    region: str
    access: Access
    subnet_ids: Mapping[str, Sequence[str]]
    """Of each listed version."""
    initial: int = 0
    """So many nodes if no version serves yet."""
    join: KubeadmJoin | EksJoin | None = None
    canaries: Mapping[str, int] = field(default_factory=dict)
    """Their sizes by version."""
    drain: DrainSettings = field(default_factory=DrainSettings)
    adopted: Mapping[str, str] = field(default_factory=dict)
    """The groups of adopted versions."""
    planned: Successor | None = None
    """What nodes of the active version will be like, save for their zones."""
    instance_types: Mapping[str, str] = field(default_factory=dict)
    """What new nodes run on, by version."""
    principals: Mapping[str, str] = field(default_factory=dict)
    """Whom new nodes run as, by version; see node_access."""
    only_looks: bool = False
    """This run changes nothing, so rights that only a drain needs may lack."""


def survey(args: SurveyArgs) -> Survey:
    """Look, and raise one clear error for what would stop the pool."""
    session = Session(args.region, args.access.profile, args.access.role_arn)
    account = session.account()
    client = Client.connect(args.access)
    lacking = _rights(client, only_looks=args.only_looks)
    record = PoolRecord(client, args.pool).load()
    zones, free = subnets.describe(session, sorted({one for listed in args.subnet_ids.values() for one in listed}))
    known = sorted(set(zones.values()))
    existing = _existing(session, args, known)
    _require_adopted_listed(record, args.cluster, existing)
    serving = _serving(session, args.cluster, record, known)
    live_size = sum(view.desired for view in serving) if serving else None
    going = _going(args.active, record, existing, serving)
    asked = _asked(session, going, args)
    added = {} if existing[args.active] else {args.active: args.initial if live_size is None else live_size}
    added |= _new_canaries(session, args, known)
    _require_addresses(args, added, free)
    token = _token(session, client, args, added)
    short, unknown = _quota(session, added, args.instance_types)
    late = expiry.warnings(session, args.access, args.drain.total_timeout, datetime.now(UTC)) if going else []
    strangers = _strangers(session, client, args, added, account)
    successor = None if existing[args.active] else _successor(args, zones)
    held = aws_preflight.of_groups(session, going)
    return Survey(
        account=account,
        cluster_uid=client.cluster_uid,
        serving=record.serving,
        live_size=live_size,
        subnet_zones=zones,
        free_addresses=free,
        warnings=_of_pool(args.pool, lacking, str(asked), token, short, *late, *strangers),
        notes=_of_pool(args.pool, asked.unchecked, unknown),
        existing={version: views for version, views in existing.items() if views},
        pending=record.pending,
        replica=record.replica,
        creates=args.active in added,
        live_zones=groups.zones_of(serving),
        findings=tuple(preflight.of_other_versions(client, args.pool, args.active, args.drain, successor, others=held)),
    )


def _of_pool(pool: str, *told: str) -> tuple[str, ...]:
    """What there is to tell, with the pool's name."""
    return tuple(f"pool {pool}: {text}" for text in told if text)


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


def _existing(session: Session, args: SurveyArgs, zones: Sequence[str]) -> dict[str, tuple[GroupView, ...]]:
    """The full groups of each listed version."""
    made = {version: _groups(session, args.cluster, args.pool, version, zones) for version in args.subnet_ids}
    return made | {version: _adopted(session, args.pool, name) for version, name in args.adopted.items()}


def _new_canaries(session: Session, args: SurveyArgs, zones: Sequence[str]) -> dict[str, int]:
    """The sizes of canaries that are not there yet, by the names of their groups' versions."""
    return {
        canary_name(version): count
        for version, count in args.canaries.items()
        if not _groups(session, args.cluster, args.pool, canary_name(version), zones)
    }


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


def _asked(session: Session, going: Sequence[GroupView], args: SurveyArgs) -> aws_rights.Answer:
    """What these credentials lack in AWS for the drain of the groups that go."""
    if not going:
        return aws_rights.Answer("")
    balancers = args.drain.load_balancers == "deregister"
    asked = aws_rights.ask(session, [view.arn for view in going], balancers=balancers)
    if str(asked) and not args.only_looks:
        raise AccessDeniedError(str(asked))
    return asked


def _token(session: Session, client: Client, args: SurveyArgs, added: Mapping[str, int]) -> str:
    """What is wrong with the token that new nodes join with, if they need one."""
    token = join_token.check(session, client, args.join) if isinstance(args.join, KubeadmJoin) else None
    if token and token.stops and added:
        raise JoinTokenError(f"pool {args.pool}: {token.message}. Nothing was changed")
    return token.message if token else ""


def _strangers(
    session: Session, client: Client, args: SurveyArgs, added: Mapping[str, int], account: str
) -> Sequence[str]:
    """Which new nodes an EKS cluster would not let in."""
    if not isinstance(args.join, EksJoin):
        return ()
    arriving = {one: who for one, who in args.principals.items() if one in added or canary_name(one) in added}
    return node_access.warnings(session, client, args.access.cluster_name or args.cluster, arriving, account)


def _successor(args: SurveyArgs, zones: Mapping[str, str]) -> Successor | None:
    """What the active version's nodes will be like; those that are there already are judged as they are."""
    if args.planned is None:
        return None
    return replace(args.planned, zones=tuple(sorted({zones[subnet] for subnet in args.subnet_ids[args.active]})))


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


def _require_addresses(args: SurveyArgs, added: Mapping[str, int], free: Mapping[str, int]) -> None:
    for called, nodes in added.items():
        offered = {subnet: free[subnet] for subnet in args.subnet_ids[called.removesuffix(CANARY_SUFFIX)]}
        if offered and sum(offered.values()) < nodes:
            named = ", ".join(f"{subnet} {count}" for subnet, count in sorted(offered.items()))
            raise ConfigError(
                f"subnetIds of pool {args.pool}: {sum(offered.values())} free addresses ({named}), but version "
                f"{called} adds {nodes} nodes while the old ones still run; free addresses or add a subnet. Nothing "
                "was changed"
            )
