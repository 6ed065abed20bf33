"""Which roles an EKS cluster lets in, by access entry or by aws-auth, and what is said of others."""

import pytest

from pulumi_nodepools import node_access
from pulumi_nodepools.errors import AccessDeniedError, ApiError, AwsError, CredentialsExpiredError

ROLE = "arn:aws:iam::123456789012:role/nodes"
MAPPED = f"- rolearn: {ROLE}\n  username: node\n  groups: [system:bootstrappers, system:nodes]\n"
NONE = AwsError("no such entry", "ResourceNotFoundException")


class Eks:
    region = "us-west-2"

    def __init__(self, mode, entry=NONE):
        self.answers = {
            "describe_cluster": {"cluster": {"accessConfig": {"authenticationMode": mode}} if mode else {}},
            "describe_access_entry": entry if isinstance(entry, Exception) else {"accessEntry": {"type": entry}},
            "get_instance_profile": {"InstanceProfile": {"Roles": [{"Arn": ROLE}]}},
        }
        self.asked = []

    def call(self, _service, operation, **parameters):
        self.asked.append((operation, parameters))
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Cluster:
    def __init__(self, roles=None):
        self.roles = roles

    def get(self, path):
        assert path.endswith("/kube-system/configmaps/aws-auth")
        if self.roles is None:
            raise ApiError("not found", status=404)
        return {"data": {"mapRoles": self.roles}}


def _warnings(eks, cluster=None, principal="role/nodes"):
    return node_access.warnings(eks, cluster or Cluster(), "prod", {"v2": principal}, "123456789012")


@pytest.mark.parametrize(
    ("mode", "entry", "roles"),
    [
        ("API", "EC2_LINUX", None),
        ("API", "EC2", None),
        ("API_AND_CONFIG_MAP", "EC2_LINUX", None),
        ("API_AND_CONFIG_MAP", NONE, MAPPED),
        ("CONFIG_MAP", NONE, MAPPED),
        ("CONFIG_MAP", NONE, MAPPED.replace(ROLE, f'"{ROLE}"')),
        ("", NONE, MAPPED),
    ],
)
def test_a_role_that_is_let_in_is_not_mentioned(mode, entry, roles):
    assert _warnings(Eks(mode, entry), Cluster(roles)) == []


@pytest.mark.parametrize(
    ("mode", "entry", "roles", "fix"),
    [
        ("API", NONE, MAPPED, f'cluster_name="prod", principal_arn="{ROLE}", type="EC2_LINUX"'),
        ("API", "STANDARD", None, "of type STANDARD, with which no kubelet may join; it takes EC2_LINUX"),
        ("API", "FARGATE_LINUX", None, "of type FARGATE_LINUX"),
        ("API_AND_CONFIG_MAP", NONE, None, "aws.eks.AccessEntry("),
        ("CONFIG_MAP", "EC2_LINUX", None, "ConfigMap aws-auth, so they could not join. Add it to mapRoles"),
        ("CONFIG_MAP", NONE, MAPPED.replace("role/nodes", "role/nodes-of-another"), "Add it to mapRoles"),
    ],
)
def test_a_role_that_is_not_let_in_is_told_with_what_to_add(mode, entry, roles, fix):
    (told,) = _warnings(Eks(mode, entry), Cluster(roles))
    assert told.startswith(f"nodes of version v2 run as {ROLE}, and EKS cluster prod ({mode})")
    assert fix in told


@pytest.mark.parametrize("profile", ["nodes", "arn:aws:iam::123456789012:instance-profile/path/nodes"])
def test_the_role_of_a_profile_is_looked_up(profile):
    eks = Eks("API", "EC2_LINUX")
    assert _warnings(eks, principal=f"instance-profile/{profile}") == []
    assert eks.asked[0] == ("get_instance_profile", {"InstanceProfileName": "nodes"})
    assert eks.asked[-1][1]["principalArn"] == ROLE


@pytest.mark.parametrize("error", [AccessDeniedError("may not"), AwsError("throttled", "Throttling")])
def test_what_cannot_be_looked_at_is_said(error):
    (told,) = _warnings(Eks("API", error))
    assert told == f"whether nodes of version v2 may join EKS cluster prod was not looked at: {error}"


def test_expired_credentials_stop():
    with pytest.raises(CredentialsExpiredError):
        _warnings(Eks("API", CredentialsExpiredError("expired")))
