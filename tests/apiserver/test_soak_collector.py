"""The collector against the real API server, as its service account, with everything that can go wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from pulumi_nodepools.collector import pods
from pulumi_nodepools.names import evidence_name
from pulumi_nodepools.pod_files import collector_files
from pulumi_nodepools.soak.correlate import correlate
from pulumi_nodepools.soak.evidence import Runs
from tests.apiserver.drain_case import NODES
from tests.apiserver.soak_case import add_node_event, kubelet, soak

pytestmark = pytest.mark.apiserver
__all__ = ["kubelet", "soak"]

CREATE = "kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12"
EOF = b'process_linux.go:319: getting the final child\'s pid from pipe caused \\"EOF\\"'


def reasons(evidence):
    return [gap.reason for gap in evidence.gaps]


def watched(evidence):
    return {boot.node: boot.watched for boot in evidence.boots}


class Program:
    """The collector as a process of its own, from the files that are mounted, without any package."""

    def __init__(self, soak, folder):
        for path, text in collector_files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self._settings = folder / "settings.json"
        self._settings.write_text(soak.settings.to_json())
        self._folder, self._soak = folder, soak

    def start(self):
        command = [sys.executable, "-S", "-m", "pulumi_nodepools.collector", self._settings, self._soak.account]
        env = {**self._soak.env, "PYTHONPATH": str(self._folder)}
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture
def program(soak, tmp_path):
    running = []

    class Started(Program):
        def start(self):
            running.append(super().start())
            return running[-1]

    yield Started(soak, tmp_path / "mounted")
    for process in running:
        process.kill()
        process.communicate()


def test_the_mounted_files_collect_survive_a_kill_and_count_nothing_twice(cluster, soak, program):
    soak.pod("run-1")
    soak.log("run-1", EOF)
    soak.end("run-1", failed=True, message="kind did not start")
    add_node_event(cluster, soak.node, CREATE)
    first = program.start()

    def seen(evidence):
        return evidence and evidence.runs["canary"] == Runs(1, 1) and watched(evidence)[soak.node] > 0.5

    cluster.wait(lambda: seen(soak.stored()), what="evidence of the first run")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = soak.stored()
    soak.pod("run-2")
    soak.end("run-2")
    second = program.start()
    cluster.wait(lambda: soak.stored().runs["canary"].runs == 2, what="the run that ended while nobody looked")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0, second.stdout.read()
    after = soak.stored()
    assert after.runs["canary"] == Runs(2, 1)
    assert after.counts == before.counts == {"kmem/k-cache-create": 1, "kmem/u-runc-eof": 1}
    weights = {hit.signature: hit.weight for hit in correlate(after.hits, {"kmem": 60.0})}
    assert weights == {"u-runc-eof": "strong", "k-cache-create": "definite"}
    assert "the collector was not running" in reasons(after)
    assert after.failures[0].message == "exit code 1: kind did not start"
    assert watched(after)[soak.node] >= watched(before)[soak.node]


def test_time_is_watched_and_a_clock_jump_is_not(soak):
    collector = soak.collector()
    for _ in range(5):
        evidence = soak.look(collector)
    assert watched(evidence) == {soak.node: 60.0}
    soak.clock.jump(-7200)
    evidence = soak.look(collector)
    soak.clock.jump(+7200)
    evidence = soak.look(collector)
    assert watched(evidence) == {soak.node: 60.0}
    assert reasons(evidence) == ["the clock jumped by -7200 s", "the clock jumped by +7200 s"]
    assert soak.stored() == evidence


def test_a_log_is_read_once_across_looks_even_within_one_second(soak):
    soak.pod("run-1")
    collector = soak.collector()
    soak.log("run-1", EOF, b"\xff\xfe not UTF-8", b"plain")
    soak.look(collector)
    soak.log("run-1", EOF.replace(b"319", b"320"))
    soak.look(collector)
    evidence = soak.look(collector)
    assert evidence.counts == {"kmem/u-runc-eof": 2}
    assert reasons(evidence) == []


def test_a_rotated_log_is_a_gap(soak):
    soak.pod("run-1")
    collector = soak.collector()
    soak.log("run-1", b"one")
    soak.look(collector)
    soak.kubelet.rotate(soak.namespace, "run-1", "main")
    soak.log("run-1", EOF)
    evidence = soak.look(collector)
    assert reasons(evidence) == ["the log of run-1 main was rotated: lines before that may be lost"]
    assert evidence.counts == {"kmem/u-runc-eof": 1}, "what is there is read all the same"
    soak.kubelet.rotate(soak.namespace, "run-1", "main")
    evidence = soak.look(collector)
    assert evidence.gaps[-1].end == evidence.updated, "empty is rotated too"
    soak.log("run-1", EOF)
    evidence = soak.look(collector)
    assert evidence.gaps[-1].end < evidence.updated, "and it goes on from there"
    assert evidence.counts == {"kmem/u-runc-eof": 2}


def test_a_flood_is_a_gap_and_is_passed_over(cluster, soak, monkeypatch):
    monkeypatch.setattr(pods, "LIMIT", 1 << 16)
    soak.pod("run-1")
    collector = soak.collector()
    soak.log("run-1", EOF, *[b"x" * 1000] * 1000)
    evidence = soak.look(collector)
    assert evidence.counts == {"kmem/u-runc-eof": 1}
    second = int(time.time())
    cluster.wait(lambda: time.time() > second + 2, what="a later second")
    soak.log("run-1", EOF)
    evidence = soak.look(collector)
    (gap,) = evidence.gaps
    assert gap.reason == "the log of run-1 main had more than 0.0625 MiB in one look: the rest was passed over"
    assert gap.end == evidence.updated, "where it goes on in the middle of a look, that look does not count"
    assert evidence.counts == {"kmem/u-runc-eof": 2}, "the flood is not read again"
    assert len(soak.look(collector).gaps) == 1


def test_a_node_that_is_replaced_begins_anew_and_its_absence_is_a_gap(cluster, soak):
    collector = soak.collector()
    for _ in range(3):
        evidence = soak.look(collector)
    cluster.request("DELETE", f"{NODES}/{soak.node}")
    cluster.wait(lambda: cluster.plane.request("GET", f"{NODES}/{soak.node}")[0] == 404)
    evidence = soak.look(collector)
    assert reasons(evidence) == ["no canary node is ready"]
    soak.add_canary(soak.node)
    for _ in range(2):
        evidence = soak.look(collector)
    assert sorted(boot.watched for boot in evidence.boots) == [15.0, 30.0]


def test_time_without_a_kernel_watcher_does_not_count(cluster, soak):
    cluster.request("DELETE", f"{NODES}/{soak.node}")
    name = soak.add_canary(f"{soak.node}-blind", watched=False)
    collector = soak.collector()
    for _ in range(2):
        evidence = soak.look(collector)
    assert reasons(evidence) == [
        f"nobody watches the kernel log of node {name} (it has no condition NodepoolsKernelSignature)"
    ]
    assert watched(evidence) == {}
    soak.kernel_condition(name, "False", "no signature")
    for _ in range(2):
        evidence = soak.look(collector)
    assert watched(evidence) == {name: 15.0}
    soak.clock.go(3600)
    assert "was last heard of at" in reasons(soak.look(collector))[-1]


def test_the_condition_tells_a_line_whose_event_was_dropped_once(soak):
    soak.kernel_condition(soak.node, "True", CREATE)
    collector = soak.collector()
    for _ in range(3):
        evidence = soak.look(collector)
    assert [(hit.signature, hit.node) for hit in evidence.hits] == [("k-cache-create", soak.node)]
    assert evidence.counts == {"kmem/k-cache-create": 1}


def test_old_nodes_lines_do_not_speak_against_the_canary_but_their_runs_count(cluster, soak):
    soak.pod("old-1", group="baseline")
    soak.log("old-1", EOF)
    soak.end("old-1", failed=True)
    (other,) = cluster.nodes(f"{soak.pool}-old", 1)
    add_node_event(cluster, other, CREATE)
    evidence = soak.look(soak.collector())
    assert (evidence.runs["canary"], evidence.runs["baseline"]) == (Runs(), Runs(1, 1))
    assert evidence.hits == ()


@pytest.mark.parametrize("edit", ["hand", "deleted", "image"])
def test_edited_evidence_begins_anew_and_says_so(cluster, soak, edit):
    collector = soak.collector()
    for _ in range(3):
        before = soak.look(collector)
    path = f"/api/v1/namespaces/{soak.namespace}/configmaps/{evidence_name(soak.pool, soak.version)}"
    if edit == "hand":
        body = cluster.request("GET", path)
        body["data"]["evidence.json"] = body["data"]["evidence.json"].replace('"watched": 30.0', '"watched": 259200.0')
        cluster.request("PUT", path, body)
    elif edit == "deleted":
        cluster.request("DELETE", path)
    else:
        soak.settings = replace(soak.settings, subject=replace(soak.settings.subject, image="ami-0ccccccccccccccccc"))
        collector = soak.collector()
    soak.look(collector)
    evidence = soak.look(collector)
    assert max(watched(evidence).values(), default=0.0) < watched(before)[soak.node]
    assert soak.stored() == evidence
    if edit != "deleted":
        assert reasons(evidence)[0].startswith("begun anew: ")
        discarded = json.loads(cluster.request("GET", path)["data"]["discarded.json"])
        assert discarded["subject"]["image"] == "ami-0bbbbbbbbbbb77190"


def test_an_api_server_that_refuses_is_a_gap_and_nothing_is_counted_twice(cluster, soak):
    soak.pod("run-1")
    soak.log("run-1", EOF)
    soak.end("run-1", failed=True)
    collector = soak.collector()
    soak.look(collector)
    token = (soak.account / "token").read_text()
    (soak.account / "token").write_text("not a token")
    with pytest.raises(Exception, match="401"):
        soak.look(collector)
    (soak.account / "token").write_text(token)
    evidence = soak.look(collector)
    assert "the API server did not answer" in reasons(evidence)[0]
    assert (evidence.runs["canary"], evidence.counts) == (Runs(1, 1), {"kmem/u-runc-eof": 1})
    assert soak.stored() == evidence


def test_a_pattern_that_explodes_is_a_gap_and_does_not_hang_the_collector(soak, monkeypatch):
    from pulumi_nodepools.collector import collect
    from pulumi_nodepools.soak.model import Signature, SignatureSet

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(collect, "LOOK_LIMIT", 1.0)
    explosive = SignatureSet("own", (Signature("x", "program", r"(a+)+$", "weak"),))
    soak.settings = replace(soak.settings, sets=(*soak.settings.sets, explosive))
    soak.pod("run-1")
    soak.log("run-1", b"a" * 40 + b"b")
    evidence = soak.look(soak.collector())
    assert "a pattern that explodes" in reasons(evidence)[0]
