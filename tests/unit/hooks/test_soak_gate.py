"""The soak gate's provider: when it judges, what it refuses, and what it leaves in the state."""

import json
from dataclasses import replace

import pytest
from pulumi.output import Unknown

from pulumi_nodepools.hooks import soak_judging
from pulumi_nodepools.hooks.boundary import Stopped
from pulumi_nodepools.hooks.soak_gate import SoakGateProvider
from pulumi_nodepools.soak.document import write
from pulumi_nodepools.soak.evidence import Runs
from tests.unit.soak.soak_case import BOOT, CREATE, NOON, SUBJECT, begun

HOURS = 72 * 3600.0
GOOD = begun(
    boots=(replace(BOOT, since=NOON, watched=HOURS),),
    runs={"canary": Runs(100, 0), "baseline": Runs(100, 40)},
)
PROPS = {
    "schemaVersion": 1,
    "cluster": "prod",
    "clusterUid": "uid",
    "access": {"kind": "kubeconfig"},
    "pool": SUBJECT.pool,
    "version": SUBJECT.version,
    "image": SUBJECT.image,
    "spec": SUBJECT.spec,
    "duration": HOURS,
    "runs": 100.0,
    "failureRate": 0.01,
    "windows": {"kmem": 60.0},
    "override": "",
    "exempt": "",
    "urn": "",
}
PROVIDER = SoakGateProvider()


@pytest.fixture
def cluster(monkeypatch):
    """What lies in the cluster; a list of how often it was asked."""

    class Cluster:
        text = None
        asked = 0

        def read(self, client, pool, version):
            self.asked += 1
            return self.text

    found = Cluster()
    monkeypatch.setattr(soak_judging, "open_place", lambda place: type("Place", (), {"client": None}))
    monkeypatch.setattr(soak_judging, "evidence_text", found.read)
    return found


def refusals(olds, news):
    return [failure.reason for failure in PROVIDER.check(olds, news).failures]


def test_a_passed_soak_lets_the_version_through_and_leaves_the_comparison_in_the_state(cluster):
    cluster.text = write(GOOD)
    assert refusals({}, PROPS) == []
    verdict = PROVIDER.create(PROPS).outs["verdict"]
    assert (verdict["outcome"], verdict["watchedSeconds"]) == ("passed", 259200)
    assert verdict["comparison"]["before"]["failures"] == 40
    assert verdict["comparison"]["fewer"]["low"] > 0.3
    json.dumps(verdict)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (None, "no evidence yet; it takes 72h00m and 100 runs"),
        (write(replace(GOOD, boots=())), "watched 0s of 72h00m; 72h00m more"),
        (write(replace(GOOD, hits=(CREATE,))), "kmem_cache_create(nf_conntrack_ffff8d4c883c0000)"),
        (write(replace(GOOD, subject=replace(SUBJECT, image="ami-other"))), "the evidence is of image ami-other"),
        (write(GOOD).replace('"failures": 40', '"failures": 41'), "the evidence was edited by hand"),
    ],
)
def test_without_good_evidence_preview_and_up_stop_and_say_what_is_missing(cluster, evidence, words):
    cluster.text = evidence
    (refusal,) = refusals({}, PROPS)
    assert words in refusal
    assert "worker 7.7.1908 has not passed its soak, nothing was changed" in refusal
    assert "override" in refusal
    with pytest.raises(Stopped, match="has not passed its soak"):
        PROVIDER.create(PROPS)


def test_an_override_needs_a_reason_which_lands_in_state_and_report(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NODEPOOLS_REPORT_DIR", str(tmp_path))
    cluster.text = write(replace(GOOD, hits=(CREATE,)))
    news = PROPS | {"override": "known noise of the test rig"}
    assert refusals({}, news) == []
    verdict = PROVIDER.create(news).outs["verdict"]
    assert (verdict["outcome"], verdict["reason"]) == ("overridden", "known noise of the test rig")
    assert CREATE.line in verdict["missing"][0]
    (saved,) = tmp_path.glob("soak-worker-7.7.1908-*.json")
    assert json.loads(saved.read_text()) == verdict


def test_a_version_that_was_let_through_is_not_judged_again(cluster):
    assert refusals(PROPS, PROPS | {"duration": 2 * HOURS}) == []
    olds = PROPS | {"verdict": {"outcome": "passed"}}
    assert PROVIDER.update("id", olds, PROPS | {"duration": 2 * HOURS}).outs["verdict"] == {"outcome": "passed"}
    assert cluster.asked == 0
    assert len(refusals(PROPS, PROPS | {"version": "7.8.2003"})) == 1
    with pytest.raises(Stopped):
        PROVIDER.update("id", olds, PROPS | {"image": "ami-other"})


def test_an_exempt_version_is_let_through_without_asking_the_cluster(cluster):
    news = PROPS | {"exempt": "no version serves yet"}
    assert refusals({}, news) == []
    assert PROVIDER.create(news).outs["verdict"]["outcome"] == "exempt"
    assert cluster.asked == 0


def test_what_is_not_known_in_preview_is_not_judged(cluster):
    assert refusals({}, PROPS | {"clusterUid": Unknown()}) == []
    assert cluster.asked == 0


def test_an_exemption_that_ends_is_no_change(cluster):
    assert PROVIDER.diff("id", PROPS | {"exempt": "no version serves yet"}, PROPS).changes is False
    assert PROVIDER.diff("id", PROPS, PROPS | {"override": "x"}).changes is True
    assert PROVIDER.diff("id", PROPS, PROPS | {"pool": "other"}).replaces == ["pool"]
