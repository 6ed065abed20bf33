"""Credentials that are known to end before a drain may: told with both times, whosever they are."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from pulumi_nodepools import expiry
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster import token_end
from pulumi_nodepools.cluster.access import Access

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
LONGEST = 6 * 3600


def jwt(**claims):
    parts = ({"alg": "RS256"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def kubeconfig(path, **user):
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "first"}},
            {"name": "two", "context": {"cluster": "c", "user": "second"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "first", "user": user}, {"name": "second", "user": {"token": "opaque"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return Access(kind="kubeconfig", path=str(path))


@pytest.mark.parametrize("left", [None, timedelta(hours=6), timedelta(days=1)])
def test_credentials_that_last_as_long_as_a_drain_are_not_mentioned(left):
    assert expiry.warning("they", None if left is None else NOW + left, LONGEST, NOW) == ""


@pytest.mark.parametrize(("left", "minutes"), [(timedelta(hours=6, seconds=-1), 360), (timedelta(minutes=40), 40)])
def test_credentials_that_end_before_a_drain_may_are_told_with_both_times(left, minutes):
    told = expiry.warning("the AWS credentials", NOW + left, LONGEST, NOW)
    assert told.startswith("the AWS credentials end at 2026-11-26T")
    assert f"in {minutes} min, but a drain may take 360 min (drain.totalTimeout)" in told


def test_aws_and_the_cluster_are_told_apart(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    access = kubeconfig(tmp_path / "config", token=jwt(exp=(NOW + timedelta(minutes=30)).timestamp()))
    aws, cluster = expiry.warnings(Session("us-west-2"), access, LONGEST, NOW + timedelta(days=3650))
    assert aws.startswith("the AWS credentials end at ")
    assert cluster.startswith(
        f"the credentials of the current context of kubeconfig {tmp_path}/config end at 2026-11-26"
    )
    assert expiry.warnings(None, access, 60, NOW) == []


@pytest.mark.parametrize("exp", [1795680000, 1795680000.5])
def test_a_token_that_is_written_in_the_kubeconfig_tells_its_end(tmp_path, exp):
    access = kubeconfig(tmp_path / "config", token=jwt(exp=exp, iss="someone"))
    assert token_end.of(access) == datetime.fromtimestamp(exp, UTC)
    other = Access(kind="kubeconfig", path=access.path, context="two")
    assert token_end.of(other) is None, "another context has another user"


@pytest.mark.parametrize(
    "user",
    [
        {"tokenFile": "/var/run/token", "token": jwt(exp=1795680000)},
        {"auth-provider": {"name": "oidc"}, "token": jwt(exp=1795680000)},
        {"exec": {"command": "aws"}},
        {"client-certificate-data": "", "client-key-data": ""},
    ],
)
def test_what_renews_itself_or_is_no_token_has_no_known_end(tmp_path, user):
    assert token_end.of(kubeconfig(tmp_path / "config", **user)) is None


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.!.c", "a.bm90IGpzb24.c", jwt(), jwt(exp="soon"), jwt(exp=1e300), jwt(exp=None)]
)
def test_a_token_of_another_kind_has_no_known_end(token):
    assert token_end.end_of(token) is None


@pytest.mark.parametrize("text", ["", "[]", "a: b", "{"])
def test_a_kubeconfig_that_was_overwritten_meanwhile_tells_no_end(tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text)
    assert token_end.of(Access(kind="kubeconfig", path=str(path))) is None


def test_eks_has_no_token_of_its_own():
    assert token_end.of(Access(kind="eks", cluster_name="prod")) is None
