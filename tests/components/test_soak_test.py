"""SoakTest and KernelWatch against a mock engine: what lands where, with which rights, and what it is pinned to."""

import json
from dataclasses import replace

import pytest

from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.kernel_watch import KernelWatch
from pulumi_nodepools.soak.document import spec_digest
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak_args import SoakArgs
from pulumi_nodepools.soak_test import SoakTest, SoakTestArgs
from tests.components.conftest import make_cluster
from tests.components.engine import Recording, run

PYTHON = "docker.io/library/python@sha256:" + "a" * 64
WATCH = "registry.k8s.io/npd@sha256:" + "b" * 64
DIND = "registry.example.com:5000/ci/dind-kind@sha256:" + "c" * 64
NODES = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "7.7.1908-canary"}
OLD = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "7.6.1810"}
TAINT = {"key": "nodepools.dev/canary", "value": "7.7.1908", "effect": "NoSchedule"}
SPEC = {"imageId": "ami-0bbbbbbbbbbb77190", "osFamily": "el7"}


def make_soak(**changes) -> SoakArgs:
    return SoakArgs(**{"collector": PYTHON, "kernel_watch": WATCH, "kind_in_docker": DIND} | changes)


def build(soak=None, **changes) -> Recording:
    soak = soak or make_soak()

    def program() -> None:
        watch = KernelWatch("nodepools-kernel-watch", make_cluster(), [soak])
        values = {
            "pool": "worker",
            "version": "7.7.1908",
            "image_id": SPEC["imageId"],
            "spec": SPEC,
            "nodes": NODES,
            "tolerations": [TAINT],
            "old_nodes": OLD,
            "soak": soak,
            "watch": watch,
        }
        SoakTest("worker-7.7.1908-soak", SoakTestArgs(**values | changes))

    return run(program)


def pod_spec(recorded, group):
    cron = recorded[f"worker-7.7.1908-soak-{group}"].inputs
    return cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_types_and_names_are_those_of_the_contract() -> None:
    recorded = build()
    types = {(one.name, one.type) for one in recorded.registered}
    assert ("worker-7.7.1908-soak", "nodepools:kubernetes:SoakTest") in types
    assert ("nodepools-kernel-watch", "nodepools:kubernetes:KernelWatch") in types
    assert ("worker-7.7.1908-soak-canary", "kubernetes:batch/v1:CronJob") in types
    assert ("worker-7.7.1908-soak-collector", "kubernetes:apps/v1:Deployment") in types
    assert recorded["nodepools-kernel-watch-namespace"].inputs["metadata"]["name"] == "nodepools-soak"


def test_runs_go_to_the_canary_alone_and_those_of_the_baseline_to_old_nodes_alone() -> None:
    recorded = build()
    canary, baseline = pod_spec(recorded, "canary"), pod_spec(recorded, "baseline")
    assert (canary["nodeSelector"], canary["tolerations"]) == (NODES, [TAINT])
    assert (baseline["nodeSelector"], baseline["tolerations"]) == (OLD, [])
    assert canary["containers"] == baseline["containers"], "the same job"
    assert canary["containers"][0]["image"] == DIND
    labels = {
        group: recorded[f"worker-7.7.1908-soak-{group}"].inputs["spec"]["jobTemplate"]["spec"]["template"]["metadata"][
            "labels"
        ]
        for group in ("canary", "baseline")
    }
    assert labels["canary"] == {
        "nodepools.dev/soak": "canary",
        "nodepools.dev/pool": "worker",
        "nodepools.dev/version": "7.7.1908",
    }
    assert labels["baseline"]["nodepools.dev/soak"] == "baseline"


def test_a_template_of_ones_own_is_placed_like_ours() -> None:
    template = {
        "metadata": {"labels": {"app": "own", "nodepools.dev/soak": "baseline"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [{"name": "own", "image": "own:1"}],
            "nodeSelector": {"anywhere": "else"},
            "restartPolicy": "Always",
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "priorityClassName": "low",
        },
    }
    recorded = build(make_soak(kind_in_docker=None, template=template, timeout=90.0))
    spec = pod_spec(recorded, "canary")
    assert spec["nodeSelector"] == NODES
    assert spec["restartPolicy"] == "Never"
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}, TAINT]
    assert (spec["priorityClassName"], spec["activeDeadlineSeconds"]) == ("low", 90)
    metadata = recorded["worker-7.7.1908-soak-canary"].inputs["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
    assert metadata["labels"]["nodepools.dev/soak"] == "canary"
    assert metadata["annotations"] == {"a": "b"}


def test_the_collector_is_told_what_is_soaked_and_runs_without_rights_of_its_own() -> None:
    recorded = build()
    settings = recorded["worker-7.7.1908-soak-collector-settings"].inputs["data"]["settings.json"]
    told = json.loads(settings)
    assert told["subject"] == {
        "pool": "worker",
        "version": "7.7.1908",
        "image": SPEC["imageId"],
        "spec": spec_digest(SPEC),
    }
    assert told["nodes"] == "nodepools.dev/pool=worker,nodepools.dev/version=7.7.1908-canary"
    (deployment,) = recorded.of(":Deployment")
    pod = deployment.inputs["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == PYTHON
    assert pod["securityContext"]["runAsNonRoot"] is True
    program = recorded["worker-7.7.1908-soak-collector-program"].inputs["data"]
    mounted = {item["path"]: program[item["key"]] for item in pod["volumes"][0]["configMap"]["items"]}
    assert set(program.values()) == set(mounted.values())
    assert "def run(" in mounted["pulumi_nodepools/collector/collect.py"]
    roles = [one for kind in (":Role", ":ClusterRole") for one in recorded.of(kind) if one.name.startswith("worker")]
    rules = [rule for one in roles for rule in one.inputs["rules"]]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "create", "update"}
    assert {resource for rule in rules for resource in rule["resources"]} == {
        "nodes",
        "events",
        "pods",
        "pods/log",
        "configmaps",
    }


def test_another_signature_set_makes_new_pods_of_collector_and_watcher() -> None:
    own = replace(KMEM, name="own")

    def annotations(recorded):
        found = [one.inputs for kind in (":Deployment", ":DaemonSet") for one in recorded.of(kind)]
        return [one["spec"]["template"]["metadata"]["annotations"] for one in found]

    one, other = annotations(build()), annotations(build(make_soak(sets=(KMEM, own))))
    assert len(one) == 2
    assert all(left != right for left, right in zip(one, other, strict=True))


def test_the_watchers_rules_set_the_condition_for_definite_signatures_only() -> None:
    recorded = build()
    (config,) = (
        one.inputs["data"] for one in recorded.registered if "kernel-signatures.json" in one.inputs.get("data", {})
    )
    monitor = json.loads(config["kernel-signatures.json"])
    assert [one["type"] for one in monitor["conditions"]] == ["NodepoolsKernelSignature"]
    permanent = {rule["reason"] for rule in monitor["rules"] if rule["type"] == "permanent"}
    temporary = {rule["reason"] for rule in monitor["rules"] if rule["type"] == "temporary"}
    assert permanent == {"KCacheCreate", "KSlubCache"}
    assert temporary == {"KCacheCreate", "KSlubCache", "KSlub", "KSlubRoot", "KNetdev"}


def test_settings_are_read_by_the_collector(tmp_path) -> None:
    text = build()["worker-7.7.1908-soak-collector-settings"].inputs["data"]["settings.json"]
    (tmp_path / "settings.json").write_text(text)
    assert Settings.read(tmp_path / "settings.json").sets == (KMEM,)


def test_long_names_are_cut_and_stay_different() -> None:
    names = set()
    for last in "ab":
        recorded = build(pool="p" * 38, version="v1." + "x" * 10 + last)
        name = recorded["worker-7.7.1908-soak-canary"].inputs["metadata"]["name"]
        assert len(name) <= 49, "a Job adds 11 characters, a pod 3 more, and all of it is one DNS label"
        assert "." not in name
        names.add(name)
    assert len(names) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"collector": "python:3.12"}, "soak.images.collector: .* is not an image with its digest"),
        ({"kernel_watch": "npd@sha256:abc"}, "is not an image with its digest"),
        ({"kind_in_docker": None}, "give either pods"),
        ({"template": {"spec": {}}}, "give either pods"),
        ({"every": 7}, "soak.every: 7m"),
        ({"failure_rate": 1.0}, "soak.failureRate"),
        ({"runs": 433}, "433 cannot end within the duration; every 10m, 1 at a time, makes 432"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make_soak(**changes)
