"""Whether a join token is good, and what is said when it is not or cannot be looked at."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from pulumi_nodepools.bootstrap import KubeadmJoin
from pulumi_nodepools.errors import AccessDeniedError, AwsError
from pulumi_nodepools.join_token import check, judge
from tests.unit.memory_cluster import MemoryCluster

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)
ID, PART = "abcdef", "0123456789abcdef"
PLACE = "SSM parameter /prod/token"
JOIN = KubeadmJoin("/prod/token", ("sha256:" + "a1" * 32,))
SECRETS = "/api/v1/namespaces/kube-system/secrets"


def secret(**changes):
    data = {"token-id": ID, "token-secret": PART, "usage-bootstrap-authentication": "true"}
    data |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {
        "metadata": {"name": f"bootstrap-token-{ID}"},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


def ending(**left):
    return (NOW + timedelta(**left)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("changes", "stops", "words"),
    [
        ({"expiration": ending(minutes=-1)}, True, "ended at 2026-01-02T02:59:00+00:00, and nodes could not join"),
        ({"expiration": ending(minutes=29)}, True, "ends at 2026-01-02T03:29:00+00:00, and nodes could not join"),
        ({"expiration": ending(hours=5)}, False, "ends in 5 h; nodes launched after that cannot join"),
        ({"expiration": "soon"}, True, "ends at 'soon', which is no time"),
        ({"expiration": "2026-01-02T03:00:00"}, True, "which is no time"),
        ({"token_secret": "f" * 16}, True, "has another secret part in the cluster"),
        ({"usage_bootstrap_authentication": "false"}, True, "is not for authentication in the cluster"),
    ],
)
def test_a_token_that_is_not_good_for_a_day(changes, stops, words):
    found = judge(ID, PART, PLACE, secret(**changes), NOW)
    assert found.stops is stops
    assert words in found.message
    assert found.message.startswith(f"the join token {ID} of {PLACE} ")
    assert "kubeadm token create" in found.message


@pytest.mark.parametrize("changes", [{}, {"expiration": ending(hours=25)}])
def test_a_good_token(changes):
    assert judge(ID, PART, PLACE, secret(**changes), NOW) is None


class Stored:
    """A session that keeps one value; or fails with `error`."""

    def __init__(self, value=f"{ID}.{PART}", error=None):
        self.value, self.error, self.calls = value, error, []

    def call(self, service, operation, **params):
        self.calls.append((service, operation, params))
        if self.error:
            raise self.error
        return {"Parameter": {"Value": self.value}, "SecretString": self.value}


def test_the_token_is_looked_up_where_nodes_will_read_it():
    cluster, session = MemoryCluster(), Stored()
    cluster.create(SECRETS, secret())
    assert check(session, cluster, JOIN) is None
    assert check(session, cluster, KubeadmJoin(token_secret="prod/token")) is None
    assert session.calls == [
        ("ssm", "get_parameter", {"Name": "/prod/token", "WithDecryption": True}),
        ("secretsmanager", "get_secret_value", {"SecretId": "prod/token"}),
    ]


@pytest.mark.parametrize(
    ("session", "stops", "words"),
    [
        (Stored(error=AccessDeniedError("refused")), False, "was not looked at: refused"),
        (Stored(error=AwsError("ParameterNotFound")), True, "cannot be read from SSM parameter /prod/token"),
        (Stored("hunter2"), True, "does not hold a bootstrap token"),
        (Stored(), True, "is not in the cluster any more"),
    ],
)
def test_what_cannot_be_looked_at_is_said_and_a_missing_token_stops(session, stops, words):
    found = check(session, MemoryCluster(), JOIN)
    assert (found.stops, words in found.message) == (stops, True), found
    assert PART not in found.message
    assert "hunter2" not in found.message


def test_without_the_right_to_read_the_secret_nothing_is_concluded():
    class Closed(MemoryCluster):
        def get(self, path, **query):
            raise AccessDeniedError("secrets is forbidden")

    found = check(Stored(), Closed(), JOIN)
    assert not found.stops
    assert f"may not get secret bootstrap-token-{ID} in kube-system" in found.message
