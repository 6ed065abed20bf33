"""Which of our errors each of botocore's becomes, and what the message may say."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.errors import AccessDeniedError, AwsError, CredentialsExpiredError, NodePoolsError


class Failing:
    def __init__(self, error):
        self.error = error

    def get_caller_identity(self):
        raise self.error


def _raised(error, **session):
    one = Session("us-west-2", **session)
    one._clients["sts"] = Failing(error)
    with pytest.raises(NodePoolsError) as caught:
        one.account()
    return caught.value


def _client_error(code):
    return ClientError({"Error": {"Code": code, "Message": "said AWS"}}, "GetCallerIdentity")


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_expired_credentials_say_so(code):
    error = _raised(_client_error(code), profile="ops")
    assert isinstance(error, CredentialsExpiredError)
    assert "expired" in str(error)
    assert "profile ops" in str(error)


@pytest.mark.parametrize("code", ["AccessDenied", "UnauthorizedOperation", "InvalidClientTokenId"])
def test_refusals_name_the_action(code):
    error = _raised(_client_error(code))
    assert isinstance(error, AccessDeniedError)
    assert "sts:GetCallerIdentity (region us-west-2)" in str(error)


def test_missing_credentials_are_denied_access():
    assert isinstance(_raised(NoCredentialsError()), AccessDeniedError)


def test_everything_else_is_an_aws_error():
    error = _raised(_client_error("Throttling"))
    assert isinstance(error, AwsError)
    assert "Throttling: said AWS" in str(error)


def test_an_unknown_profile_is_no_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(AccessDeniedError, match="no-such-profile"):
        Session("us-west-2", "no-such-profile").account()


def test_account_of_the_caller(session):
    assert session.account() == "123456789012"


def test_a_role_is_assumed_with_credentials_that_renew_themselves(session):
    assumed = Session("us-west-2", role_arn="arn:aws:iam::111122223333:role/drainer")
    assert assumed.account() == "111122223333"
    assert assumed._base().get_credentials().method == "assume-role"


def test_the_end_is_known_of_credentials_whose_giver_told_it(session, monkeypatch):
    assert session.ends() is None
    ends = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat().replace("+00:00", "Z"))
    assert Session("us-west-2").ends() == ends
    # A role's credentials are renewed with those that it was taken on with, and end with them.
    assert Session("us-west-2", role_arn="arn:aws:iam::111122223333:role/drainer").ends() == ends


def test_credentials_that_are_past_their_end_are_expired_and_no_traceback(session, monkeypatch):
    past = datetime.now(UTC) - timedelta(minutes=1)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", past.isoformat())
    with pytest.raises(CredentialsExpiredError, match="the credentials have expired"):
        Session("us-west-2").account()
