"""Where a hook works: the recorded account, cluster and groups, opened only if they are still the same ones.

"Gone" may be concluded only behind `open_place`: with a wrong account or context everything looks gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ConfigError, IdentityError
from pulumi_nodepools.hooks.provider import decoded, plain


@dataclass(frozen=True)
class GroupRef:
    """A group as the state remembers it."""

    name: str
    arn: str


@dataclass(frozen=True)
class PlaceProps:
    """The properties that the drain hook and the gate have in common, of any schema version."""

    cluster: str
    cluster_uid: str
    account: str
    region: str
    access: Access
    pool: str
    version: str
    groups: tuple[GroupRef, ...]
    urn: str
    selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that all nodes have, in place of those that this library puts on its own."""

    @classmethod
    @decoded
    def read(cls, props: Mapping[str, Any]) -> "PlaceProps":
        """Decode; ConfigError names what an acting hook cannot do without."""
        raw = plain(dict(props))
        version = raw.get("version") or raw.get("active") or ""
        missing = [key for key in ("clusterUid", "pool") if not raw.get(key)] + ([] if version else ["version"])
        if missing:
            raise ConfigError(
                f"the recorded properties lack {', '.join(missing)}, so the nodes they stand for cannot be told; "
                "nothing was done. Run `pulumi up` with a program that sets them"
            )
        groups = tuple(GroupRef(str(group["name"]), str(group.get("arn") or "")) for group in raw.get("groups") or ())
        return cls(
            cluster=str(raw.get("cluster") or ""),
            cluster_uid=str(raw["clusterUid"]),
            account=str(raw.get("account") or ""),
            region=str(raw.get("region") or _region(groups)),
            access=Access.from_props(raw.get("access") or {}),
            pool=str(raw["pool"]),
            version=str(version),
            groups=groups,
            urn=str(raw.get("urn") or ""),
            selector=raw.get("selector") or {},
        )

    @property
    def owner(self) -> str:
        """Who cordons, as written on the nodes."""
        return f"{self.pool}/{self.version}"

    @property
    def title(self) -> str:
        """The version in messages."""
        return f"{self.pool} {self.version}"


@dataclass(frozen=True)
class Place:
    """Proved to be the recorded place. `session` is None where no group is involved."""

    props: PlaceProps
    client: Client
    session: Session | None


def open_place(props: PlaceProps) -> Place:
    """Connect to account and cluster; IdentityError if either is not the recorded one."""
    session = None
    if props.groups:
        session = Session(props.region, props.access.profile, props.access.role_arn)
        account = session.account()
        if props.account and account != props.account:
            raise IdentityError(
                f"{props.title} lives in AWS account {props.account}, but the credentials here are of account "
                f"{account}; nothing was touched. Use the credentials (AWS_PROFILE, role) of account {props.account}"
            )
    client = patiently(lambda: Client.connect(props.access))
    if client.cluster_uid != props.cluster_uid:
        raise IdentityError(
            f"{props.title} lives in the cluster {props.cluster} whose kube-system has UID {props.cluster_uid}, but "
            f"{props.access.describe()} leads to one with UID {client.cluster_uid}; nothing was touched. Set "
            "KUBECONFIG or the context to the right cluster"
        )
    return Place(props, client, session)


def _region(groups: tuple[GroupRef, ...]) -> str:
    """The region in the first group's ARN, for state that did not record it."""
    parts = groups[0].arn.split(":") if groups else []
    return parts[3] if len(parts) > 3 else ""
