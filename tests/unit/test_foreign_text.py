"""Whatever others wrote, damaged in any way: it is read, or refused with one of our errors; never a crash or a hang."""

import base64
import copy
import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools import join_token, update_plan
from pulumi_nodepools.cluster import access
from pulumi_nodepools.cluster.record import Frozen, Record, Request
from pulumi_nodepools.cluster.volumes import RawCsiNode, csi_node_view
from pulumi_nodepools.cluster.watch import RESOURCES
from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.hooks.cutting_over import CutoverProps
from pulumi_nodepools.hooks.gate import GateProps
from pulumi_nodepools.hooks.place import PlaceProps
from pulumi_nodepools.hooks.soak_judging import SoakProps
from pulumi_nodepools.reporting import document
from pulumi_nodepools.scanning import Scan, file_text
from pulumi_nodepools.soak import document as evidence_document
from pulumi_nodepools.soak.custom import with_custom
from tests.unit.hooks.test_written_states import STATES
from tests.unit.plan_case import replacement
from tests.unit.reporting.report_case import demo, drained, soak
from tests.unit.soak.soak_case import CREATE, after, begun

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, inner in items for place in _places(inner, (*here, key)))]


@st.composite
def damaged(draw: Any, whole: Any) -> Any:
    """The document with one part replaced or taken away."""
    found = copy.deepcopy(whole)
    *path, last = draw(st.sampled_from([place for place in _places(found) if place]))
    target = found
    for key in path:
        target = target[key]
    if draw(st.booleans()):
        target[last] = draw(ANYTHING)
    else:
        del target[last]
    return found


EVIDENCE = after(begun(), {}, {"hits": [CREATE]})
RECORD = Record(
    "worker",
    serving="v1",
    serving_groups=("prod-worker-v1",),
    replica={"instanceType": "m5.large"},
    states={"v1": "active"},
    frozen={"g": Frozen("arn:aws:autoscaling:us-west-2:123456789012:g", "v1", 1, 5, 2, ("Launch",))},
    evidence={"gate": {"version": "v1", "nodes": 2}},
    request=Request("stop", "ann@desk", "12:00", "runner"),
)
STATE = {entry["type"]: entry["outputs"] for entry in json.loads(STATES[-1].read_text())}
POD = {
    "metadata": {"name": "a", "namespace": "shop", "uid": "1", "labels": {"app": "a"}, "annotations": {"x": "y"}},
    "spec": {
        "nodeName": "n",
        "containers": [{"resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}, "ports": [{"hostPort": 80}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
    },
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}
NODE = {
    "metadata": {"name": "n", "labels": {"z": "a"}},
    "spec": {"providerID": "aws:///us-west-2a/i-1", "taints": [{"key": "k", "effect": "NoSchedule"}]},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "nodeInfo": {"kernelVersion": "5.4"}},
}
SECRET = {
    "token-secret": b"0123456789abcdef",
    "usage-bootstrap-authentication": b"true",
    "expiration": b"2030-01-01T00:00:00Z",
}
SIGNATURES = [
    {"name": "xfs", "window": "2m", "patterns": [{"id": "x", "kind": "kernel", "pattern": "XFS", "weight": "definite"}]}
]
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "prod",
    "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "ann"}}],
    "clusters": [{"name": "prod", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}}],
    "users": [{"name": "ann", "user": {"token": "t"}}],
}
READERS = {
    "DrainHook": PlaceProps.read,
    "ReadinessGate": GateProps.read,
    "Cutover": CutoverProps.read,
    "SoakGate": SoakProps.read,
}
OBJECTS = {
    "pods": POD,
    "nodes": NODE,
    "poddisruptionbudgets": {
        "metadata": {"name": "b", "namespace": "shop", "uid": "1"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "minAvailable": "50%"},
        "status": {"disruptionsAllowed": 1, "conditions": [{"type": "DisruptionAllowed", "status": "True"}]},
    },
    "controllers": {"metadata": {"name": "a", "namespace": "shop", "uid": "1"}, "spec": {"replicas": 2}},
    "deployments": {
        "metadata": {"name": "a", "namespace": "shop", "uid": "1", "generation": 2},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {"metadata": {"annotations": {"nodepools.dev/replaces": "u"}}},
        },
        "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1},
    },
    "persistentvolumeclaims": {"metadata": {"name": "c", "namespace": "shop"}, "spec": {"volumeName": "v"}},
    "persistentvolumes": {
        "metadata": {"name": "v"},
        "spec": {
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
    },
    "volumeattachments": {
        "metadata": {"name": "x"},
        "spec": {"nodeName": "n", "source": {"persistentVolumeName": "v"}},
        "status": {"detachError": {"message": "busy"}},
    },
}
CSI_NODE = {
    "metadata": {"name": "n"},
    "spec": {"drivers": [{"name": "ebs.csi.aws.com", "nodeID": "i", "allocatable": {"count": 25}}]},
}


@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.parametrize(
    ("whole", "read"),
    [
        pytest.param(json.loads(RECORD.to_json()), lambda text: Record.from_json("worker", text), id="record"),
        *(
            pytest.param(body, lambda text: document.read("report.json", text.encode()), id=f"report of a {name}")
            for name, body in (("drain", drained()), ("demo", demo(drained())), ("soak", soak()))
        ),
        pytest.param(json.loads(evidence_document.write(EVIDENCE)), evidence_document.read, id="evidence"),
    ],
)
def test_a_damaged_document_is_read_or_refused(whole, read, data) -> None:
    text = json.dumps(data.draw(damaged(whole)))
    cut = data.draw(st.integers(0, len(text)))
    for one in (text, text[:cut]):
        with suppress(NodePoolsError):
            read(one)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_state_is_read_or_refused(data) -> None:
    place = {key: entry for key, entry in STATE.items() if not key.endswith("VersionLock")}
    kind = data.draw(st.sampled_from(sorted(place)))
    props = data.draw(damaged({key: value for key, value in place[kind].items() if key != "__provider"}))
    with suppress(NodePoolsError):
        READERS[kind.rpartition(":")[2]](props)


@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_a_damaged_object_of_the_cluster_is_seen_or_refused_by_its_shape(resource, data) -> None:
    whole = OBJECTS.get(resource.name) or OBJECTS["controllers"]
    with suppress(msgspec.DecodeError):  # which a watcher tells as a failure of the API, and tries again
        resource.view(json.dumps(data.draw(damaged(whole))).encode())


@settings(max_examples=100, deadline=None)
@given(damaged(CSI_NODE))
def test_a_damaged_csi_node_is_seen_or_refused_by_its_shape(node) -> None:
    with suppress(msgspec.DecodeError):
        csi_node_view(msgspec.json.decode(json.dumps(node), type=RawCsiNode))


@settings(max_examples=100, deadline=None)
@given(damaged(KUBECONFIG))
def test_a_damaged_kubeconfig_leads_somewhere_or_is_refused(tmp_path_factory, config) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_text(yaml.safe_dump(config))
    with suppress(NodePoolsError):
        access.load(access.Access(kind="kubeconfig", path=str(path)), timeout=1)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(SECRET)), st.binary(max_size=30) | st.sampled_from([*SECRET.values()])))
def test_any_secret_of_a_join_token_is_judged(data) -> None:
    secret = {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}
    found = join_token.judge("abcdef", "0123456789abcdef", "cluster prod", secret, datetime(2026, 1, 1, tzinfo=UTC))
    assert found is None or "cluster prod" in str(found)


@settings(max_examples=100, deadline=None)
@given(damaged(SIGNATURES))
def test_damaged_signatures_are_read_or_refused(signatures) -> None:
    with suppress(NodePoolsError):
        with_custom("signatures", signatures)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_preview_is_read_or_refused(tmp_path_factory, data) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "preview.json"
    whole = {"steps": replacement(), "changeSummary": {"same": 0}}
    path.write_text(json.dumps(data.draw(damaged(whole))))
    with suppress(NodePoolsError):
        update_plan.read(path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["auto", "kernel", "node", "pod"]))
def test_any_bytes_are_lines_of_a_log(data, origin) -> None:
    look = Scan(with_custom("signatures", None), now=0.0)
    look.text(file_text("messages", io.BytesIO(data), origin, "node07"))
    assert look.report()["findings"] == []
