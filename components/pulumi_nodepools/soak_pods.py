"""What runs in a soak, as plain Kubernetes objects: the repeated job and its pods. Pure.

A run's pod goes only where it is meant to: its node selector and tolerations are set here, whatever the template says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_BUILD_A_CLUSTER = """\
set -eu
dockerd-entrypoint.sh dockerd >/proc/1/fd/1 2>&1 &
tries=0
until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "dockerd did not start"; exit 1; }
    sleep 1
done
kind create cluster --name soak --wait 5m
kind delete cluster --name soak
"""


def kind_in_docker(image: str) -> dict[str, Any]:
    """The job of the story: builds a Kind cluster inside docker. `image` has dockerd and kind."""
    container = {
        "name": "dind",
        "image": image,
        "command": ["/bin/sh", "-c", _BUILD_A_CLUSTER],
        "securityContext": {"privileged": True},
        "env": [{"name": "DOCKER_TLS_CERTDIR", "value": ""}],
        "volumeMounts": [{"name": "docker", "mountPath": "/var/lib/docker"}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
    }
    return {"spec": {"containers": [container], "volumes": [{"name": "docker", "emptyDir": {}}]}}


def runs(
    template: Mapping[str, Any],
    *,
    labels: Mapping[str, str],
    nodes: Mapping[str, str],
    tolerations: Sequence[Mapping[str, str]],
    every: int,
    parallel: int,
    timeout: float,
) -> dict[str, Any]:
    """The spec of a CronJob that runs the template every so many minutes, each pod counting as one run.

    The pod has the deadline (seconds), not the Job: a pod that its Job takes away could not be counted.
    """
    return {
        "schedule": "0 * * * *" if every == 60 else f"*/{every} * * * *",
        "concurrencyPolicy": "Allow",
        "startingDeadlineSeconds": 60,
        "successfulJobsHistoryLimit": 10,
        "failedJobsHistoryLimit": 10,
        "jobTemplate": {
            "metadata": {"labels": dict(labels)},
            "spec": {
                "backoffLimitPerIndex": 0,
                "completionMode": "Indexed",
                "completions": parallel,
                "parallelism": parallel,
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
                },
                "template": _placed(template, labels, nodes, tolerations, timeout),
            },
        },
    }


def _placed(
    template: Mapping[str, Any],
    labels: Mapping[str, str],
    nodes: Mapping[str, str],
    tolerations: Sequence[Mapping[str, str]],
    timeout: float,
) -> dict[str, Any]:
    metadata, spec = template.get("metadata") or {}, template["spec"]
    return {
        "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}},
        "spec": {
            "automountServiceAccountToken": False,
            **spec,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(timeout),
            "nodeSelector": dict(nodes),
            "tolerations": [*(spec.get("tolerations") or []), *(dict(one) for one in tolerations)],
        },
    }
