"""Every failure this library expects, in one hierarchy.

A message names what failed, which object, the number or limit, and the next step. Nothing here carries tokens,
kubeconfigs or response headers: the engine prints messages to the terminal and to CI logs.
"""

from collections.abc import Sequence
from typing import Any


class NodePoolsError(Exception):
    """Base of all expected failures. `exit_code` is what the `nodepools` command ends with."""

    exit_code = 1


class ConfigError(NodePoolsError):
    """What the user wrote cannot be used; nothing was changed."""


class ClusterUnreachableError(NodePoolsError):
    """The API server did not answer, or not with TLS that we trust."""


class AccessDeniedError(NodePoolsError):
    """Credentials are missing, expired, or lack a right (Kubernetes 401/403, AWS auth errors)."""


class CredentialsExpiredError(AccessDeniedError):
    """They were good until a moment ago; whatever was being done goes on with new ones."""


class ApiError(NodePoolsError):
    """An HTTP answer of the Kubernetes API that the caller did not handle."""

    def __init__(self, message: str, *, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class AwsError(NodePoolsError):
    """An AWS API call failed for a reason other than credentials. `code` is AWS's word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class JoinTokenError(NodePoolsError):
    """The token that new nodes would join with is missing or has ended; nothing was changed."""


class IdentityError(NodePoolsError):
    """The account, cluster or instances found are not those recorded; "gone" may not be concluded."""


class CapacityError(NodePoolsError):
    """Not enough ready, fitting capacity outside the version; nothing was touched."""


class GateError(NodePoolsError):
    """The new version did not become ready in time or its instances were abandoned."""


class SoakError(NodePoolsError):
    """A version may not be promoted: its soak has not been passed."""

    exit_code = 2


class DrainBlockedError(NodePoolsError):
    """The drain stopped before its end: blocked, timed out, or told to stop. It can be resumed."""

    exit_code = 2

    def __init__(self, message: str, diagnosis: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis
        """What held it, where no report says so: entries of drain.model."""


class HeldError(NodePoolsError):
    """Another run holds the pool's Lease, or ours was lost."""

    exit_code = 2
