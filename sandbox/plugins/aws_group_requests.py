"""Provider inputs of an Auto Scaling group as API requests. Pure."""

import json
from typing import Any

from pulumi_nodepools.units import seconds
from sandbox.plugins.host import Props

SETS = ("tags", "vpcZoneIdentifiers", "suspendedProcesses", "targetGroupArns", "initialLifecycleHooks")
SIMPLE = {
    "minSize": "MinSize",
    "maxSize": "MaxSize",
    "desiredCapacity": "DesiredCapacity",
    "healthCheckType": "HealthCheckType",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "defaultCooldown": "DefaultCooldown",
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "capacityRebalance": "CapacityRebalance",
    "terminationPolicies": "TerminationPolicies",
}


def wait_seconds(text: str) -> float:
    """Seconds of a capacity wait; 0 means no wait. ConfigError when it is no duration."""
    return 0.0 if text in ("0", "0s", "0m") else seconds("waitForCapacityTimeout", text)


def canonical(values: Any) -> list[str]:
    """A list whose order does not matter, comparable."""
    return sorted(json.dumps(each, sort_keys=True) for each in values or [])


def tag(group: str, given: Props) -> Props:
    return {
        "ResourceId": group,
        "ResourceType": "auto-scaling-group",
        "Key": given["key"],
        "Value": given.get("value", ""),
        "PropagateAtLaunch": bool(given.get("propagateAtLaunch")),
    }


def hook(given: Props) -> Props:
    names = {
        "name": "LifecycleHookName",
        "lifecycleTransition": "LifecycleTransition",
        "defaultResult": "DefaultResult",
        "heartbeatTimeout": "HeartbeatTimeout",
        "notificationMetadata": "NotificationMetadata",
    }
    return {names[key]: value for key, value in given.items()}


def sizes(props: Props, chosen: Any) -> Props:
    """The request of the chosen properties, without those that have API calls of their own."""
    request = {theirs: props[ours] for ours, theirs in SIMPLE.items() if ours in chosen and ours in props}
    if "vpcZoneIdentifiers" in chosen and props.get("vpcZoneIdentifiers"):
        request["VPCZoneIdentifier"] = ",".join(props["vpcZoneIdentifiers"])
    if "launchTemplate" in chosen:
        template = props["launchTemplate"]
        names = {"id": "LaunchTemplateId", "name": "LaunchTemplateName", "version": "Version"}
        request["LaunchTemplate"] = {names[key]: value for key, value in template.items()}
    return request
