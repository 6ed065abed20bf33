"""How the aws stand-in reaches AWS: provider configuration, clients, and errors told in the real provider's style."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.plugins.host import PluginError, Props
from sandbox.plugins.values import has_unknown

STRINGS = (
    "accessKey",
    "customCaBundle",
    "ec2MetadataServiceEndpoint",
    "ec2MetadataServiceEndpointMode",
    "httpProxy",
    "httpsProxy",
    "noProxy",
    "profile",
    "region",
    "retryMode",
    "s3UsEast1RegionalEndpoint",
    "secretKey",
    "stsRegion",
    "tagPolicyCompliance",
    "token",
)
ENCODED = (
    "allowedAccountIds",
    "assumeRoleWithWebIdentity",
    "assumeRoles",
    "defaultTags",
    "endpoints",
    "forbiddenAccountIds",
    "ignoreTags",
    "insecure",
    "maxRetries",
    "s3UsePathStyle",
    "sharedConfigFiles",
    "sharedCredentialsFiles",
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
    "tokenBucketRateLimiterCapacity",
    "useDualstackEndpoint",
    "useFipsEndpoint",
    "userAgents",
)
"""Settings that the engine passes as JSON in a string."""


def decode(settings: Props) -> Props:
    """Provider settings as values; nested ones arrive JSON-encoded."""
    decoded: Props = {}
    for key, value in settings.items():
        if key in ENCODED and isinstance(value, str):
            try:
                decoded[key] = json.loads(value)
            except ValueError as error:
                raise PluginError(f"provider setting {key}: {value!r} is not JSON: {error}") from None
        else:
            decoded[key] = value
    return decoded


class Cloud:
    """One configured provider: a session, its clients, the account."""

    def __init__(self, settings: Props) -> None:
        self.settings = settings
        self.session = boto3.Session(
            # The real provider reads AWS_REGION; boto3 knows AWS_DEFAULT_REGION and profiles only.
            region_name=settings.get("region") or os.environ.get("AWS_REGION"),
            profile_name=settings.get("profile"),
            aws_access_key_id=settings.get("accessKey"),
            aws_secret_access_key=settings.get("secretKey"),
            aws_session_token=settings.get("token"),
        )
        self._endpoints = {k: v for each in settings.get("endpoints", []) for k, v in each.items()}
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        for role in settings.get("assumeRoles", []):
            self._assume(role)

    @property
    def region(self) -> str:
        if not self.session.region_name:
            raise PluginError("no AWS region: set aws:region in the stack's configuration or AWS_REGION")
        return str(self.session.region_name)

    @property
    def default_tags(self) -> dict[str, str]:
        return dict((self.settings.get("defaultTags") or {}).get("tags") or {})

    def client(self, service: str) -> Any:
        with self._lock:  # clients are thread-safe, making them is not
            if service not in self._clients:
                self._clients[service] = self.session.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self._endpoints.get(service),
                    config=Config(retries={"mode": "standard", "max_attempts": 3}),
                )
            return self._clients[service]

    def account(self) -> str:
        with doing("retrieving AWS account details"):
            return str(self.client("sts").get_caller_identity()["Account"])

    def require_account(self) -> None:
        """Refuse accounts that the configuration does not allow, as the real provider does before any change."""
        allowed = [str(each) for each in self.settings.get("allowedAccountIds") or []]
        forbidden = [str(each) for each in self.settings.get("forbiddenAccountIds") or []]
        if not (allowed or forbidden):
            return
        account = self.account()
        if account in forbidden or (allowed and account not in allowed):
            raise PluginError(f"AWS account ID not allowed: {account}")

    def _assume(self, role: Props) -> None:
        with doing(f"assuming role {role.get('roleArn')}"):
            given = self.client("sts").assume_role(
                RoleArn=role["roleArn"], RoleSessionName=role.get("sessionName", "pulumi")
            )["Credentials"]
        self._clients.clear()
        self.session = boto3.Session(
            region_name=self.session.region_name,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )


def cloud_of(settings: Props) -> Cloud | None:
    """The configured cloud; None while parts of an explicit provider's settings are not known yet."""
    if has_unknown(settings):
        return None
    cloud = Cloud(decode(settings))
    cloud.require_account()
    return cloud


def code_of(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Turn AWS failures into one line that begins with what was being done."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        raise PluginError(
            f"{what}: operation error {error.operation_name}, https response error StatusCode: {status}, "
            f"api error {code_of(error)}: {answer['Error'].get('Message')}"
        ) from None
    except BotoCoreError as error:
        raise PluginError(f"{what}: {error}") from None


class Existing:
    """Tells "it is not there" apart from every other failure: `with Existing("NoSuchEntity") as found:`."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes
        self.gone = False

    def __enter__(self) -> "Existing":
        return self

    def __exit__(self, _kind: Any, error: Any, _trace: Any) -> bool:
        self.gone = isinstance(error, ClientError) and code_of(error) in self._codes
        return self.gone
