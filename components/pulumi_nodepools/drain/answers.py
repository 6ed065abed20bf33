"""What an answer to an eviction means. Pure: a table of the eviction API's statuses as a real server gives them.

A status alone says little: 403 may be a missing right, a terminating namespace or a policy; 500 may be two budgets, an
admission webhook or a server in trouble. The causes and texts decide, most specific first.
"""

import re
import zlib
from typing import Literal

from pulumi_nodepools.drain.events import Answered

Meaning = Literal[
    "accepted",  # on its way; gone only when the watch says so
    "gone",  # there was nothing to evict
    "conflict",  # another pod has that name, or the object changed meanwhile: look again
    "budget",  # a budget does not allow it now
    "budgets",  # two budgets guard it: never allowed
    "throttled",  # the server protects itself: everything must slow down
    "namespace-terminating",
    "denied",  # a webhook or policy said no; it may say yes later
    "forbidden",  # rights are missing: no later try can succeed
    "transient",
]

_NO_RIGHT = re.compile(r"cannot (create|delete|patch) resource")
_RETRY = {
    "conflict": (1.0, 10.0),
    "budget": (0.2, 15.0),
    "budgets": (30.0, 30.0),
    "throttled": (1.0, 15.0),
    "namespace-terminating": (5.0, 15.0),
    "denied": (2.0, 15.0),
    "transient": (0.5, 15.0),
}


def meaning(answer: Answered) -> Meaning:
    """Read one answer."""
    if answer.code in (200, 201, 202):
        return "accepted"
    text = answer.message
    if "admission webhook" in text and "failed calling" not in text:
        return "denied"
    if answer.code == 403:
        return _forbidden(answer)
    if "more than one PodDisruptionBudget" in text:
        return "budgets"
    return _BY_CODE.get(answer.code) or _other(answer)


_BY_CODE: dict[int, Meaning] = {401: "forbidden", 404: "gone", 409: "conflict", 422: "denied", 400: "denied"}


def _other(answer: Answered) -> Meaning:
    if answer.code == 429:
        return "budget" if "DisruptionBudget" in answer.causes else "throttled"
    return "denied" if 405 <= answer.code < 429 else "transient"


def no_right(code: int, message: str) -> bool:
    """Whether an answer says that rights are missing; a webhook or policy may answer 403 as well."""
    return code == 401 or (code == 403 and _NO_RIGHT.search(message) is not None)


def refusal(what: str, code: int, message: str) -> str:
    """How a drain ends that may do nothing more, and what helps."""
    remedy = "renew the credentials" if code == 401 else "grant the missing right"
    return f"{what}: {code} {message}; no new eviction was begun: {remedy} and run again, it goes on from here"


def _forbidden(answer: Answered) -> Meaning:
    if "NamespaceTerminating" in answer.causes or "being terminated" in answer.message:
        return "namespace-terminating"
    if "disruptions allowed is negative" in answer.message or "DisruptedPods map too big" in answer.message:
        return "budget"
    return "forbidden" if _NO_RIGHT.search(answer.message) else "denied"


def retry_delay(means: Meaning, failures: int, retry_after: float, *, key: str = "") -> float:
    """Seconds until the next try after `failures` such answers in a row; the server's own wish comes first.

    A server that protects itself knows how long it wants to be left alone; that fewer are sent then is enough besides.
    `key` spreads many that failed together: by up to a quarter, always the same for the same key and try.
    """
    first, most = _RETRY[means]
    delay = max(min(first * float(2 ** min(failures - 1, 10)), most), retry_after)
    if means == "throttled" and retry_after:
        delay = retry_after
    return delay * (1 + 0.25 * zlib.crc32(f"{key}/{failures}".encode()) / 2**32) if key else delay
