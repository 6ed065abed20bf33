"""The claims of the demo, each checked against what was recorded from the outside, not against what we said we did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import msgspec

from pulumi_nodepools import names
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.soak.evidence import Evidence, Group, Runs
from sandbox.recorder import Recorder
from sandbox.story import soaking

Object = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """One sentence, whether it held, and the numbers behind it."""

    text: str
    held: bool
    detail: str


def availability(client: Client, recorder: Recorder, *, nodes: int) -> list[Claim]:
    """No interruption but the predicted ones, and never fewer ready nodes than at the start."""
    ledger = recorder.ledger
    predicted = single_replica_services(client)
    unexpected = [item for item in ledger.interruptions if item.kind != "service" or item.subject not in predicted]
    foreseen = [item.subject for item in ledger.interruptions if item not in unexpected]
    lowest = ledger.lowest_ready()
    return [
        Claim("the record has no gap", not recorder.gaps, "; ".join(recorder.gaps) or "3 watches, unbroken"),
        Claim(
            "no service lost its last ready endpoint and no budget was violated",
            not unexpected,
            "; ".join(f"{item.kind} {item.subject}: {item.detail}" for item in unexpected)
            or f"{len(ledger.served)} services watched; predicted and seen: {', '.join(foreseen) or 'none'}",
        ),
        Claim(
            "something was cordoned while we watched",
            ledger.first_cordon is not None,
            f"{ledger.first_cordon - recorder.began:.1f} s into the record"
            if ledger.first_cordon
            else "no cordon seen",
        ),
        Claim("ready capacity never fell below the start", lowest >= nodes, f"lowest {lowest} of {nodes} nodes"),
    ]


def single_replica_services(client: Client) -> set[str]:
    """Services whose only backend is one replica: nothing can move them without a moment of absence."""
    singles = [
        item for item in items(client, "/apis/apps/v1/deployments") if item["spec"].get("replicas", 1) == 1
    ]  # fmt: skip
    found = set()
    for service in items(client, "/api/v1/services"):
        selector = service["spec"].get("selector") or {}
        for single in singles:
            labels = single["spec"]["template"]["metadata"].get("labels") or {}
            same = single["metadata"]["namespace"] == service["metadata"]["namespace"]
            if same and selector and selector.items() <= labels.items():
                found.add(f"{service['metadata']['namespace']}/{service['metadata']['name']}")
    return found


def nodes(
    client: Client, fleet: Mapping[str, Object], *, pool: str, version: str, argument: str, count: int
) -> list[Claim]:
    """Every node of the version proved the argument before it joined, with one reboot."""
    joined = {
        item["spec"]["providerID"].rsplit("/", 1)[-1]: item
        for item in items(client, "/api/v1/nodes")
        if (item["metadata"]["labels"] or {}).get(names.VERSION_LABEL) == version
    }
    evidence = names.validated_value(pool, version)
    proved = [
        instance
        for instance, node in joined.items()
        if node["metadata"]["labels"].get(names.VALIDATED_LABEL) == evidence
        and argument in fleet[instance]["cmdline"].split()
    ]
    reboots = {instance: fleet[instance]["powerOns"] - 1 for instance in joined}
    return [
        Claim(f"{count} nodes of {version} joined", len(joined) == count, f"{len(joined)} joined"),
        Claim(
            f"every new node proved {argument} before it joined",
            len(proved) == len(joined) == count,
            f"{len(proved)} with the argument on their command line and the validator's label",
        ),
        Claim(
            "every new node rebooted exactly once",
            set(reboots.values()) == {1},
            f"{len(reboots)} nodes; number of reboots: {', '.join(map(str, sorted(set(reboots.values()))))}",
        ),
    ]


def job(*, before: tuple[int, int], after: tuple[int, int]) -> Claim:
    """The job failed on unpatched nodes and never on patched ones."""
    return Claim(
        "the CI job failed before and never after",
        before[1] > 0 and after[0] > 0 and after[1] == 0,
        f"before: {before[1]} of {before[0]} runs failed; after: {after[1]} of {after[0]}",
    )


def refused(evidence: Evidence, told: str) -> Claim:
    """A preview has refused the version and shown a definite signature with its line; `told` is what it printed."""
    found = next((hit for hit in evidence.hits if hit.weight == "definite"), None)
    name = f"{found.set}/{found.signature}" if found else "no definite signature"
    refusal = f"{evidence.subject.version} has not passed its soak, nothing was changed"
    shown = bool(found) and all(text in told for text in (refusal, name, found.line if found else ""))
    return Claim(
        "the canary without the argument was refused with the lines of the bug",
        shown,
        f"{name} on {found.node}: {found.line}; {_runs(evidence, 'canary')}" if found else name,
    )


def passed(verdict: Mapping[str, Any], evidence: Evidence, *, runs: int) -> Claim:
    """The gate let the version through, and what was collected of it shows no sign of the bug."""
    seen = evidence.runs.get("canary", Runs())
    definite = sum(hit.weight == "definite" for hit in evidence.hits)
    return Claim(
        "the patched canary passed its soak",
        verdict["outcome"] == "passed" and seen.runs >= runs and seen.failures == 0 and definite == 0,
        f"{verdict['outcome']} after {verdict['watchedSeconds']} s; until the canary went {_runs(evidence, 'canary')}, "
        f"{definite} definite signatures; on the old nodes meanwhile {_runs(evidence, 'baseline')}",
    )


def _runs(evidence: Evidence, group: Group) -> str:
    seen = evidence.runs.get(group, Runs())
    return f"{seen.failures} of {seen.runs} runs failed"


def nothing_left(client: Client, env: Mapping[str, str], *, pool: str, versions: Sequence[str]) -> Iterable[Claim]:
    """Nothing of these versions and of their soaks is left in AWS or in the cluster; nothing is held or suspended."""
    session = boto3.session.Session(
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_REGION"],
    )
    autoscaling = session.client("autoscaling", endpoint_url=env["AWS_ENDPOINT_URL"])
    ec2 = session.client("ec2", endpoint_url=env["AWS_ENDPOINT_URL"])
    groups = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    old_groups = [group["AutoScalingGroupName"] for group in groups if _of(versions, group["AutoScalingGroupName"])]
    templates = [
        template["LaunchTemplateName"]
        for template in ec2.describe_launch_templates()["LaunchTemplates"]
        if _of(versions, template["LaunchTemplateName"])
    ]
    filters = [
        {"Name": f"tag:{names.VERSION_LABEL}", "Values": list(versions)},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    reservations = ec2.describe_instances(Filters=filters)["Reservations"]
    old_nodes = [
        item["metadata"]["name"]
        for item in items(client, "/api/v1/nodes")
        if (item["metadata"]["labels"] or {}).get(names.VERSION_LABEL) in versions
    ]
    suspended = [group["AutoScalingGroupName"] for group in groups if group["SuspendedProcesses"]]
    lease = client.get(
        f"/apis/coordination.k8s.io/v1/namespaces/{names.RECORD_NAMESPACE}/leases/{names.record_name(pool)}"
    )
    holder = (lease["spec"] or {}).get("holderIdentity")
    left = [*old_groups, *templates, *old_nodes, *(str(item) for item in reservations), *soaking.left(client)]
    return [
        Claim(
            f"nothing of {versions[0]} and of the canaries is left in AWS or in the cluster",
            not left,
            ", ".join(left) or "nothing found",
        ),
        Claim("nothing is left suspended", not suspended, ", ".join(suspended) or f"{len(groups)} group looked at"),
        Claim("nobody holds the pool's Lease", not holder, holder or "released"),
    ]


def _of(versions: Sequence[str], name: str) -> bool:
    return any(version in name for version in versions)


def items(client: Client, path: str) -> Iterable[Object]:
    """Every object of a collection, page by page."""
    for page in client.list_raw(path):
        yield from msgspec.json.decode(page)["items"]
