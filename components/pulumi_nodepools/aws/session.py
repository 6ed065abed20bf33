"""One set of AWS credentials in one region, and the mapping of botocore's failures to ours.

boto3 reads `AWS_ENDPOINT_URL` and the credential chain itself; nothing secret is kept here or put into a message.
"""

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pulumi_nodepools.errors import AccessDeniedError, AwsError, CredentialsExpiredError, NodePoolsError

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# By name: botocore has no common base for "the credentials are at fault", and new releases add classes.
_CREDENTIAL_ERRORS = frozenset(
    {
        "CredentialRetrievalError",
        "InvalidConfigError",
        "MetadataRetrievalError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)


_END = "AWS_CREDENTIAL_EXPIRATION"
"""Where tools that hand out credentials by the environment say when these end."""


class Session:
    """Thread-safe: clients are made once per service, under a lock (boto3 sessions are not safe to share)."""

    def __init__(self, region: str, profile: str | None = None, role_arn: str | None = None) -> None:
        self.region = region
        self.profile = profile
        self.role_arn = role_arn
        self._lock = threading.Lock()
        self._session: Any = None
        self._source: Any = None
        """The session in whose place `_session` stands if a role is taken on; otherwise the same."""
        self._clients: dict[str, Any] = {}

    def account(self) -> str:
        """The account that these credentials act in."""
        return str(self.call("sts", "get_caller_identity")["Account"])

    def ends(self) -> datetime | None:
        """When these credentials end for good; None if that is not known, or they renew themselves."""
        self._base()
        found = self._source.get_credentials()
        if found is None or found.method != "env":
            return None
        try:
            return datetime.fromisoformat(os.environ.get(_END, "")).astimezone()
        except ValueError:
            return None

    def call(self, service: str, operation: str, **params: Any) -> Any:
        """Answer of one API call; AccessDeniedError when credentials or rights are at fault, else AwsError."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see the package's docstring

        try:
            return getattr(self.client(service), operation)(**params)
        except (BotoCoreError, ClientError) as error:
            raise self._mapped(service, operation, error) from error
        except RuntimeError as error:
            # botocore has no class for credentials that know their end and are past it.
            if "still expired" not in str(error):
                raise
            raise self._expired(service, operation, _END) from error

    def pages(self, service: str, operation: str, key: str, **params: Any) -> Iterator[Any]:
        """Items under `key` of every page of one listing."""
        token: dict[str, str] = {}
        while True:
            page = self.call(service, operation, **params, **token)
            yield from page.get(key, [])
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def client(self, service: str) -> Any:
        """The boto3 client of one service."""
        from botocore.config import Config  # noqa: PLC0415

        with self._lock:
            if service not in self._clients:
                settings = Config(
                    connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5}
                )
                self._clients[service] = self._base().client(service, region_name=self.region, config=settings)
            return self._clients[service]

    def _base(self) -> Any:
        import boto3  # noqa: PLC0415

        if self._session is None:
            self._source = boto3.Session(profile_name=self.profile, region_name=self.region)
            self._session = _assumed(self._source, self.role_arn, self.region) if self.role_arn else self._source
        return self._session

    def _expired(self, service: str, operation: str, code: str) -> CredentialsExpiredError:
        return CredentialsExpiredError(
            f"{self._named(service, operation)}: the credentials have expired ({code}); renew them and run again: it "
            "goes on from here"
        )

    def _named(self, service: str, operation: str) -> str:
        who = ", ".join(
            part
            for part in (
                f"region {self.region}",
                f"profile {self.profile}" if self.profile else "",
                f"role {self.role_arn}" if self.role_arn else "",
            )
            if part
        )
        return f"AWS {service}:{''.join(word.title() for word in operation.split('_'))} ({who})"

    def _mapped(self, service: str, operation: str, error: Exception) -> NodePoolsError:
        call = self._named(service, operation)
        details = getattr(error, "response", {}).get("Error", {})
        code, text = details.get("Code", type(error).__name__), details.get("Message", str(error))
        if code in _EXPIRED:
            return self._expired(service, operation, code)
        if code in _CREDENTIAL_ERRORS:
            return AccessDeniedError(
                f"{call}: no usable credentials ({code}: {text}); set AWS_PROFILE or log in, and run again"
            )
        if code in _DENIED:
            return AccessDeniedError(f"{call}: refused ({code}: {text}); grant that action to the caller and run again")
        return AwsError(f"{call} failed: {code}: {text}", code)


def _assumed(base: Any, role_arn: str, region: str) -> Any:
    """A session in the role's place whose credentials renew themselves: a drain may outlive one hour."""
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials  # noqa: PLC0415

    core = botocore.session.Session()

    def create(service: str, **options: Any) -> Any:
        return base.client(service, **{"region_name": region, **options})

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=create,
        source_credentials=base.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": "nodepools"},
    )
    core._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore offers no public setter for these
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=core, region_name=region)
