"""A pool whose drain can be held in its middle, what may be done to the engine then, and what must hold afterwards."""

import json
import threading
from contextlib import suppress
from typing import Any

import msgspec

from pulumi_nodepools import names
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import LEASES
from pulumi_nodepools.errors import NodePoolsError
from sandbox.engine import Project
from tests.engine_case import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud, activate
from tests.started import UP, Engine

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


class Pods:
    """Every pod of the pool's workloads that ever was, by UID."""

    def __init__(self, client: Client, apps: tuple[str, ...]) -> None:
        self.seen: dict[str, set[str]] = {app: set() for app in apps}
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            listed = self._client.get("/api/v1/namespaces/default/pods")
            for pod in listed["items"]:
                self._note(pod)
            version = listed["metadata"]["resourceVersion"]
            with suppress(NodePoolsError):
                for line in self._client.watch_lines("/api/v1/pods", resource_version=version, timeout_seconds=2):
                    self._note(msgspec.json.decode(line)["object"])

    def _note(self, pod: dict[str, Any]) -> None:
        app = (pod["metadata"].get("labels") or {}).get("app")
        if app in self.seen:
            self.seen[app].add(pod["metadata"]["uid"])


class Pool:
    """Workload `flow` moves at once; workload `held` has a budget that allows nothing until `release`."""

    def __init__(self, name: str, cloud: Cloud, project: Project, patience: str) -> None:
        self.name = name
        self.cloud = cloud
        self.project = project
        self.flow, self.held = f"flow-{name}", f"held-{name}"
        self.reports = project.folder / "reports"
        project.env["NODEPOOLS_REPORT_DIR"] = str(self.reports)
        project.edit(lambda config: self._set_up(config["nodepools:pools"][name], patience))
        self.engines: list[Engine] = []
        self.pods: Pods | None = None

    @staticmethod
    def _set_up(pool: dict[str, Any], patience: str) -> None:
        pool["drain"].update(timeout=patience, totalTimeout="180s", batchSize="100%")
        pool["drain"]["acknowledge"] = ["pdb-impossible/default/held-*"]
        pool["gate"]["timeout"] = "180s"

    def begin(self) -> None:
        self.project.up("--skip-preview").expect()
        self.cloud.deployment(self.flow, self.name, replicas=2)
        self.cloud.deployment(self.held, self.name, replicas=2, budget={"maxUnavailable": 0})
        self.pods = Pods(self.cloud.client, (self.flow, self.held))

    def end(self) -> None:
        for engine in self.engines:
            engine.end()
        if self.pods is not None:
            self.pods.stop()
        for name in (self.flow, self.held):
            self.cloud.remove(name)
        self.project.run("cancel", "--stack", "prod", "--yes")

    def list_new(self) -> None:
        """The edit that replaces the old version by the new one."""
        self.project.edit(activate(self.name, NEW, NEW_SPEC))

    def list_old(self) -> None:
        self.project.edit(activate(self.name, OLD, OLD_SPEC))

    def start_up(self) -> Engine:
        engine = Engine(self.project.start(*UP))
        self.engines.append(engine)
        return engine

    def up_into_the_drain(self) -> Engine:
        """Start `up` and return once it has moved everything but the held pods."""
        self.list_new()
        engine = self.start_up()
        self.cloud.until(lambda: self._standing(engine), 120)
        return engine

    def _standing(self, engine: Engine) -> bool:
        assert engine.process.poll() is None, f"ended before its drain was under way:\n{engine.output}"
        return self.moved(self.flow) and not self.moved(self.held)

    def moved(self, app: str) -> bool:
        """Whether all of the workload's pods are ready on nodes of the new version."""
        return self._all_on(app, NEW)

    def home(self, app: str) -> bool:
        return self._all_on(app, OLD)

    def _all_on(self, app: str, version: str) -> bool:
        nodes = {node["metadata"]["name"] for node in self.cloud.nodes(self.name, version)}
        pods = self.cloud.pods(app)
        return len(pods) == 2 and all(pod["spec"].get("nodeName") in nodes and _ready(pod) for pod in pods)

    def uids(self, app: str) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.cloud.pods(app)}

    def ready(self, version: str) -> int:
        return sum(_ready(node) for node in self.cloud.nodes(self.name, version))

    def release(self) -> None:
        """Let the held pods go."""
        self.cloud.client.delete(f"{BUDGETS}/{self.held}")

    def lease_holder(self) -> str:
        lease = self.cloud.client.get(f"{LEASES}/{names.record_name(self.name)}")
        return str(lease["spec"].get("holderIdentity") or "")

    def record(self) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{names.RECORD_NAMESPACE}/configmaps/{names.record_name(self.name)}"
        body: dict[str, Any] = json.loads(self.cloud.client.get(path)["data"]["record.json"])
        return body

    def frozen(self) -> bool:
        """Whether the old group stands as the drain froze it."""
        group = self.cloud.groups(self.name)[OLD]
        suspended = {item["ProcessName"] for item in group["SuspendedProcesses"]}
        pinned = group["MinSize"] == group["MaxSize"] == group["DesiredCapacity"] == 2
        return pinned and suspended >= {"Launch", "AZRebalance", "ReplaceUnhealthy"}

    def cordoned(self, version: str) -> int:
        return sum(bool(node["spec"].get("unschedulable")) for node in self.cloud.nodes(self.name, version))

    def evicted(self) -> list[str]:
        """UIDs of all pods whose eviction was accepted, over all drains that left a report."""
        found = []
        for path in sorted(self.reports.glob("drain-*.json")):
            for pod in json.loads(path.read_text())["pods"]:
                found += [pod["uid"]] * (pod["codes"].get("201", 0) + pod["codes"].get("200", 0))
        return found

    def check_replaced(self, size: int = 2, *, once: bool = True) -> None:
        """The end state of a replacement, however it was reached. `once`: nobody but the drains moved any pod."""
        groups = self.cloud.groups(self.name)
        assert set(groups) == {NEW}
        assert (groups[NEW]["MinSize"], groups[NEW]["MaxSize"], groups[NEW]["DesiredCapacity"]) == (1, 6, size)
        assert groups[NEW]["SuspendedProcesses"] == []
        self.cloud.until(lambda: not self.cloud.nodes(self.name, OLD))
        assert self.cloud.schedulable(self.name, NEW) == size
        assert self.moved(self.flow)
        assert self.moved(self.held)
        self.check_unlocked(NEW)
        assert self.pods is not None
        for app, uids in self.pods.seen.items() if once else ():
            assert len(uids) == 4, f"{app}: 2 pods and one successor each, nothing moved twice; saw {len(uids)}"
        evicted = self.evicted()
        assert len(evicted) == len(set(evicted)), "a pod was evicted twice"
        self.project.up("--skip-preview", "--expect-no-changes").expect()

    def check_unlocked(self, serving: str) -> None:
        assert self.lease_holder() == ""
        record = self.record()
        assert (record["serving"], record["phase"].split()[0]) == (serving, "drained")
        # What a deleted group was is forgotten at the next gate; nothing that lives may be frozen.
        living = {group["AutoScalingGroupName"] for group in self.cloud.groups(self.name).values()}
        assert not living & set(record["frozen"])


def _ready(item: dict[str, Any]) -> bool:
    """Whether a pod or a node is ready and not on its way out."""
    conditions = item.get("status", {}).get("conditions") or []
    terminating = item["metadata"].get("deletionTimestamp")
    return not terminating and any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
