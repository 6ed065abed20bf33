"""The node's own AWS calls: the signature by published vectors and by botocore, the program on old Pythons too."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from pulumi_nodepools.bootstrap.signed_call import PROGRAM
from tests.node_cloud import KEYS, Cloud

PROGRAM_NAMES: dict[str, object] = {"__name__": "signed_call"}
exec(compile(PROGRAM, "signed_call", "exec"), PROGRAM_NAMES)
authorization = PROGRAM_NAMES["authorization"]

# The keys, date and scope of the Signature Version 4 test suite that AWS publishes.
SUITE_KEYS = {"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SUITE_HEADERS = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
_ALONE = (("except ImportError:", "if True:"), ("try:", "if True:"))
VERSIONS = ("2.7", "3.6", "3.9", "3.13")


@pytest.mark.parametrize(
    ("more", "body", "signature"),
    [
        ({}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (FORM, "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ],
    ids=["post-vanilla", "post-x-www-form-urlencoded"],
)
def test_the_published_vectors(more, body, signature):
    header = authorization(SUITE_KEYS, "us-east-1", "service", "/", SUITE_HEADERS | more, body)
    assert header.endswith(f"Signature={signature}")
    assert header.startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
    )


@given(
    secret=st.text("abcXYZ019/+", min_size=1, max_size=50),
    body=st.text(max_size=60),
    service=st.sampled_from(["ec2", "autoscaling", "ssm", "secretsmanager"]),
    region=st.sampled_from(["us-west-2", "cn-north-1", "us-gov-east-1"]),
    target=st.text("AmazonSSM.Get", max_size=20),
    token=st.text("ab/+=", min_size=1, max_size=30),
)
def test_botocore_signs_the_same(*, secret, body, service, region, target, token):
    headers = {
        "host": f"{service}.{region}.amazonaws.com",
        "x-amz-date": "20260102T030405Z",
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": target,
        "x-amz-security-token": token,
    }
    ours = authorization({"AccessKeyId": "AKID", "SecretAccessKey": secret}, region, service, "/aws/", headers, body)
    signer = SigV4Auth(Credentials("AKID", secret, token), service, region)
    request = AWSRequest("POST", f"https://{headers['host']}/aws/", headers, body.encode())
    request.context["timestamp"] = headers["x-amz-date"]
    theirs = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert ours.rpartition("Signature=")[2] == theirs


def interpreter(version: str) -> str | None:
    """That Python, where pyenv keeps it or on PATH, where pyenv's commands are that may refuse to run."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found = str(kept[-1]) if kept else shutil.which(f"python{version}")
    runs = found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    return found if runs else None


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as made:
        yield made


def run(cloud: Cloud, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here; test_the_program_is_valid_for_old_pythons still holds")
    return subprocess.run(
        [python, "-", "us-west-2", *arguments],
        input=PROGRAM,
        env={"PATH": os.environ["PATH"], "NODEPOOLS_METADATA": cloud.metadata, "NODEPOOLS_ENDPOINT": cloud.endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_calls_with_a_signature_that_holds(cloud, version):
    tagged = run(cloud, version, "ec2", "CreateTags", "ResourceId.1=i-1", "Tag.1.Value=a b=c&d/+%~")
    token = run(cloud, version, "ssm", "GetParameter", "Name=/a/b", "WithDecryption=true")
    assert (tagged.returncode, token.returncode) == (0, 0), tagged.stderr + token.stderr
    assert cloud.faults == []
    assert cloud.calls[0].parameters["Tag.1.Value"] == "a b=c&d/+%~"
    assert cloud.calls[1].parameters == {"Name": "/a/b", "WithDecryption": True}
    assert token.stdout.strip() == cloud.join_token


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_call_says_which_and_why_and_shows_no_key(cloud, version):
    cloud.denied = {"GetParameter"}
    done = run(cloud, version, "ssm", "GetParameter", "Name=/a/b")
    assert done.returncode == 1
    assert done.stderr.startswith("ssm GetParameter: HTTP 403 AccessDeniedException not authorized to perform")
    assert not any(key in done.stderr for key in (KEYS.secret, KEYS.token))


def test_without_a_role_the_call_says_so(cloud):
    done = subprocess.run(
        ["python3", "-", "us-west-2", "ec2", "CreateTags"],
        input=PROGRAM.replace("iam/security-credentials/", "iam/none/"),
        env={"PATH": os.environ["PATH"], "NODEPOOLS_METADATA": cloud.metadata},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("ec2 CreateTags: HTTP 404")


def test_a_wrong_signature_is_seen(cloud):
    """The stand-in of AWS in these tests refuses what AWS would refuse."""
    broken = PROGRAM.replace('"AWS4" + keys', '"AWS5" + keys')
    done = subprocess.run(
        ["python3", "-", "us-west-2", "autoscaling", "CompleteLifecycleAction"],
        input=broken,
        env={"PATH": os.environ["PATH"], "NODEPOOLS_METADATA": cloud.metadata, "NODEPOOLS_ENDPOINT": cloud.endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "HTTP 403 SignatureDoesNotMatch" in done.stderr
    assert cloud.faults
    assert cloud.calls == []


@pytest.mark.parametrize(("version", "other"), [("2.7", 0), ("3.6", 1)])
def test_the_program_is_valid_for_old_pythons(tmp_path, version, other):
    """Judged without the imports of the other Python."""
    kept = ["try:" + PROGRAM.partition("try:")[2].partition("except ImportError")[0]]
    kept.append("except ImportError" + PROGRAM.partition("except ImportError")[2].partition("\n\n")[0])
    file = tmp_path / "signed_call.py"
    file.write_text(PROGRAM.replace("".join(kept), kept[1 - other].replace(*_ALONE[other])))
    vermin = Path(sys.executable).parent / "vermin"
    done = subprocess.run([vermin, f"-t={version}-", "--no-tips", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
