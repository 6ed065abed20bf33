"""Where a cluster is and how to get in: non-secret settings, and the credentials made from them at time of use.

`Access` may stand in Pulumi state; what `load` makes from it never leaves the process. Requests are
client.py's business.
"""

import base64
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pulumi_nodepools import documents
from pulumi_nodepools.errors import AccessDeniedError, ClusterUnreachableError, ConfigError

_KEYS = {
    "kind": "kind",
    "path": "path",
    "context": "context",
    "clusterName": "cluster_name",
    "region": "region",
    "profile": "profile",
    "roleArn": "role_arn",
}
_TOKEN_SECONDS = 600.0
"""An EKS token lives 15 minutes; a new one is made after 10, so that none expires on its way."""
_CREDENTIAL_ERRORS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "CredentialRetrievalError",
    "InvalidConfigError",
}


@dataclass(frozen=True)
class Access:
    """Settings that name a cluster without any secret; plain strings, so they may go into state."""

    kind: Literal["kubeconfig", "eks"]
    path: str | None = None
    context: str | None = None
    cluster_name: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> "Access":
        """Read camelCase properties; ConfigError names an unknown kind or a missing cluster name."""
        values = {field: props[key] for key, field in _KEYS.items() if props.get(key) is not None}
        kind = values.get("kind", "kubeconfig")
        if kind not in ("kubeconfig", "eks"):
            raise ConfigError(f"access.kind: {kind!r} is neither 'kubeconfig' nor 'eks'")
        if kind == "eks" and not values.get("cluster_name"):
            raise ConfigError("access.clusterName is missing: access of kind 'eks' needs the cluster's name")
        return cls(**cast("dict[str, Any]", values | {"kind": kind}))

    def to_props(self) -> dict[str, str]:
        """The same settings as camelCase properties, without those that are not set."""
        return {key: getattr(self, field) for key, field in _KEYS.items() if getattr(self, field) is not None}

    def describe(self) -> str:
        """A few words for messages: which cluster these settings lead to."""
        if self.kind == "eks":
            return f"EKS cluster {self.cluster_name} in {self.region or 'the default region'}"
        context = f"context {self.context!r}" if self.context else "the current context"
        return f"{context} of kubeconfig {self.kubeconfig()}"

    def kubeconfig(self) -> str:
        """The kubeconfig file or files, looked up now: the environment may have changed since the program ran."""
        return self.path or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


@dataclass(frozen=True)
class Credentials:
    """A loaded client configuration of the official client, and for how long it may be used (None: unlimited)."""

    configuration: Any
    seconds: float | None


_LOADING = threading.Lock()
"""The official loader shares certificate files between calls, and hands out the name of one before it is written."""


def load(access: Access, *, timeout: float) -> Credentials:
    """Make credentials for `access` now; AccessDeniedError or ClusterUnreachableError say what is missing."""
    return _from_eks(access, timeout) if access.kind == "eks" else _from_kubeconfig(access)


def _from_kubeconfig(access: Access) -> Credentials:
    from kubernetes import client, config  # noqa: PLC0415 -- 280 ms, only when a cluster is really used

    configuration = client.Configuration()
    _require_bounded(access)
    try:
        with _LOADING:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=access.kubeconfig(),
                context=access.context,
                client_configuration=configuration,
                persist_config=False,
            )
    except config.ConfigException as error:
        raise ClusterUnreachableError(
            f"cannot use {access.describe()}: {error}; set KUBECONFIG or access.path to a valid kubeconfig"
        ) from None
    except Exception as error:  # noqa: BLE001 -- a file of another shape fails in the official loader in any way
        raise ClusterUnreachableError(
            f"cannot use {access.describe()}: it has not the shape of a kubeconfig ({type(error).__name__}); see "
            "`kubectl config view`"
        ) from None
    known = configuration.api_key.get("BearerToken") or configuration.api_key.get("authorization")
    # The official client logs a failed credential command and goes on as anonymous: say what happened instead.
    if configuration.host.startswith("https:") and not known and not configuration.cert_file:
        raise AccessDeniedError(
            f"{access.describe()} yields no credentials: its user has no token or certificate, or its credential "
            "command failed; log in again and retry"
        )
    return Credentials(configuration, None)


def _require_bounded(access: Access) -> None:
    """The official loader reads whatever it is given, to the end of all memory."""
    for path in map(Path, access.kubeconfig().split(os.pathsep)):
        try:
            if path.is_file():
                documents.read_yaml(path)
        except (OSError, ValueError) as error:
            raise ClusterUnreachableError(f"cannot use kubeconfig {path}: {error}") from None


def _from_eks(access: Access, timeout: float) -> Credentials:
    import boto3  # noqa: PLC0415 -- 270 ms, only for EKS
    import botocore.config  # noqa: PLC0415
    import botocore.exceptions  # noqa: PLC0415

    limits = botocore.config.Config(connect_timeout=timeout, read_timeout=timeout, retries={"max_attempts": 3})
    try:
        session = boto3.Session(profile_name=access.profile, region_name=access.region)
        session = _assume(session, access.role_arn, limits)
        cluster = session.client("eks", config=limits).describe_cluster(name=access.cluster_name)["cluster"]
        token = _eks_token(session, str(access.cluster_name))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise _aws_failure(access, error) from None
    return Credentials(_eks_configuration(cluster, token), _TOKEN_SECONDS)


def _assume(session: Any, role_arn: str | None, limits: Any) -> Any:
    if not role_arn:
        return session
    import boto3  # noqa: PLC0415

    answer = session.client("sts", config=limits).assume_role(RoleArn=role_arn, RoleSessionName="nodepools")
    keys = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name=session.region_name,
    )


def _eks_token(session: Any, cluster_name: str) -> str:
    """A bearer token: a presigned GetCallerIdentity bound to the cluster by a signed header."""
    sts = session.client("sts")
    header = "x-k8s-aws-id"

    def add_header(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[header] = params.pop("ClusterName", cluster_name)

    def sign_header(request: Any, **_: Any) -> None:
        request.headers[header] = request.context.get(header, cluster_name)

    sts.meta.events.register("provide-client-params.sts.GetCallerIdentity", add_header)
    sts.meta.events.register("before-sign.sts.GetCallerIdentity", sign_header)
    url = sts.generate_presigned_url("get_caller_identity", Params={}, ExpiresIn=60, HttpMethod="GET")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _eks_configuration(cluster: Mapping[str, Any], token: str) -> Any:
    from kubernetes import client  # noqa: PLC0415

    try:
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode("ascii")
        configuration = client.Configuration(host=cluster["endpoint"], ca_cert_data=authority)
    except (KeyError, ValueError):
        raise ClusterUnreachableError(
            f"EKS cluster {cluster.get('name')} has no endpoint or certificate authority yet "
            f"(status {cluster.get('status')}); wait until it is ACTIVE"
        ) from None
    configuration.api_key["BearerToken"] = f"Bearer {token}"
    return configuration


def _aws_failure(access: Access, error: Exception) -> AccessDeniedError | ClusterUnreachableError:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    who = access.role_arn or (f"profile {access.profile}" if access.profile else "the default AWS credentials")
    if code == "ResourceNotFoundException":
        return ClusterUnreachableError(
            f"{access.describe()} does not exist for {who}; check access.clusterName and access.region"
        )
    if code in _CREDENTIAL_ERRORS or any(word in code for word in ("Denied", "Expired", "Unauthorized", "Invalid")):
        return AccessDeniedError(
            f"{access.describe()}: AWS refused {who} ({code}); renew the credentials, or grant eks:DescribeCluster"
        )
    return ClusterUnreachableError(f"{access.describe()}: AWS did not answer as expected ({code}: {error})")
