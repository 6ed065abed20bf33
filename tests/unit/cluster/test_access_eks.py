"""Credentials for EKS, made from AWS ones without any command: endpoint, authority and a token bound to the cluster."""

import base64
import urllib.parse

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend

from pulumi_nodepools.cluster.access import Access, load
from pulumi_nodepools.errors import AccessDeniedError, ClusterUnreachableError

REGION = "us-west-2"


@pytest.fixture(autouse=True)
def account(monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "SESSION_TOKEN": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        vpc = {"subnetIds": ["subnet-1", "subnet-2"]}
        role = "arn:aws:iam::123456789012:role/eks"
        boto3.client("eks", region_name=REGION).create_cluster(name="prod", roleArn=role, resourcesVpcConfig=vpc)
        cluster = get_backend("eks")["123456789012"][REGION].clusters["prod"]
        cluster.certificate_authority = {"data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()}
        yield cluster


def test_a_cluster_that_is_still_being_made_says_so(account):
    account.certificate_authority = {}
    with pytest.raises(ClusterUnreachableError, match="wait until it is ACTIVE"):
        load(Access("eks", cluster_name="prod", region=REGION), timeout=5)


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/drainer"])
def test_the_token_is_a_signed_question_about_who_asks_bound_to_the_cluster(role):
    access = Access("eks", cluster_name="prod", region=REGION, role_arn=role)
    loaded = load(access, timeout=5)
    assert loaded.configuration.host.startswith("https://")
    assert loaded.seconds == 600
    kind, _, token = loaded.configuration.api_key["BearerToken"].partition(" k8s-aws-v1.")
    assert kind == "Bearer"
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    query = urllib.parse.parse_qs(urllib.parse.urlparse(url).query)
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert query["X-Amz-Expires"] == ["60"]
    assert urllib.parse.urlparse(url).hostname == f"sts.{REGION}.amazonaws.com"


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(ClusterUnreachableError, match="EKS cluster other in us-west-2 does not exist"):
        load(Access("eks", cluster_name="other", region=REGION), timeout=5)


def test_a_profile_that_is_not_there_is_named():
    with pytest.raises(AccessDeniedError, match="profile nobody"):
        load(Access("eks", cluster_name="prod", region=REGION, profile="nobody"), timeout=5)
