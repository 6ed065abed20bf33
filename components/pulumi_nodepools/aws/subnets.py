"""What the subnets of a pool offer: their zones and the addresses left."""

from collections.abc import Sequence

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.errors import ConfigError


def describe(session: Session, ids: Sequence[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Zone and number of free addresses of each subnet; ConfigError names the ids that do not exist."""
    filters = [{"Name": "subnet-id", "Values": list(ids)}]
    found = list(session.pages("ec2", "describe_subnets", "Subnets", Filters=filters)) if ids else []
    missing = sorted(set(ids) - {raw["SubnetId"] for raw in found})
    if missing:
        raise ConfigError(
            f"subnetIds: {', '.join(missing)} not found in region {session.region}; correct the ids, the region "
            "or the AWS profile"
        )
    zones = {raw["SubnetId"]: raw["AvailabilityZone"] for raw in found}
    return zones, {raw["SubnetId"]: raw["AvailableIpAddressCount"] for raw in found}
