"""Our kernel signatures as a configuration of node-problem-detector: it watches the kernel log on each node.

Every kernel signature becomes an Event on the node; a definite one also sets the node's condition, so that any tool can
see it. node-problem-detector matches Go's RE2 against its last lines joined, and only up to the end of the newest.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pulumi_nodepools.names import KERNEL_CONDITION
from pulumi_nodepools.soak.events import KERNEL_WATCHER
from pulumi_nodepools.soak.model import Signature, SignatureSet


def monitor(sets: Sequence[SignatureSet]) -> dict[str, Any]:
    """The configuration of one system log monitor on the kernel's own log."""
    return {
        "plugin": "kmsg",
        "logPath": "/dev/kmsg",
        "lookback": "5m",
        "bufferSize": 10,
        "source": KERNEL_WATCHER,
        "conditions": [
            {"type": KERNEL_CONDITION, "reason": "NoSignature", "message": "no definite signature in the kernel log"}
        ],
        "rules": [rule for one in sets for signature in one.signatures for rule in _rules(signature)],
    }


def _rules(signature: Signature) -> Iterator[dict[str, str]]:
    if signature.kind != "kernel":
        return
    reason = "".join(part.capitalize() for part in signature.id.split("-"))
    yield {"type": "temporary", "reason": reason, "pattern": _to_the_end(signature.pattern)}
    if signature.weight == "definite":
        rule = {"type": "permanent", "condition": KERNEL_CONDITION, "reason": reason}
        yield {**rule, "pattern": _to_the_end(signature.pattern)}
    if signature.lowered_by:
        yield {"type": "temporary", "reason": f"{reason}Root", "pattern": _to_the_end(signature.lowered_by)}


def _to_the_end(pattern: str) -> str:
    return f"(?m)(?:{pattern}).*"
