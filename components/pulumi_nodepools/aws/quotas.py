"""Whether the account may run the instances that are to be added: its quota of vCPUs, and what is used of it.

Only the one for on-demand instances of the standard families, which nodes are nearly always of; of others nothing is
said. EC2 counts what runs or begins to run, in the whole region.
"""

import re
from collections import Counter
from collections.abc import Mapping

from pulumi_nodepools.aws.session import Session

_STANDARD = frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"})
_QUOTA = "L-1216C47A"
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, in vCPUs."""


def shortage(session: Session, added: Mapping[str, int]) -> str:
    """What is wrong with adding so many instances of each type; empty if they fit, or are of no standard family.

    AccessDeniedError or AwsError where the quota cannot be read.
    """
    wanted = {kind: number for kind, number in added.items() if _standard(kind) and number}
    if not wanted:
        return ""
    needed = sum(number * size for number, size in zip(wanted.values(), _sizes(session, wanted), strict=True))
    answer = session.call("service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode=_QUOTA)
    quota, used = int(answer["Quota"]["Value"]), _used(session)
    if used + needed <= quota:
        return ""
    kinds = ", ".join(f"{number} {kind}" for kind, number in wanted.items())
    return (
        f"{kinds} need {needed} vCPUs beside the {used} in use, but the quota of region {session.region} for on-demand "
        f"standard instances is {quota} ({_QUOTA}): not all of them would start. Ask for a higher quota first"
    )


def _standard(kind: str) -> bool:
    family = re.match(r"[a-z]+", kind)
    return family is not None and family[0] in _STANDARD


def _sizes(session: Session, kinds: Mapping[str, int]) -> list[int]:
    answer = session.call("ec2", "describe_instance_types", InstanceTypes=list(kinds))
    sizes = {raw["InstanceType"]: int(raw["VCpuInfo"]["DefaultVCpus"]) for raw in answer["InstanceTypes"]}
    return [sizes[kind] for kind in kinds]


def _used(session: Session) -> int:
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    running = [
        one
        for reservation in session.pages("ec2", "describe_instances", "Reservations", Filters=filters)
        for one in reservation["Instances"]
        if _standard(one["InstanceType"]) and one.get("InstanceLifecycle") != "spot"
    ]
    told = [one["CpuOptions"] for one in running if "CpuOptions" in one]
    # Where an instance does not tell, it has what its type has by default.
    others = Counter(one["InstanceType"] for one in running if "CpuOptions" not in one)
    sizes = _sizes(session, others) if others else []
    return sum(int(cpu["CoreCount"]) * int(cpu["ThreadsPerCore"]) for cpu in told) + sum(
        number * size for number, size in zip(others.values(), sizes, strict=True)
    )
