"""Evidence as one JSON document and back, with a digest over it: an edit by hand shows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.soak.evidence import Boot, Evidence, Gap, Run, Runs, Subject
from pulumi_nodepools.soak.model import Hit

SCHEMA = 1
_DIGEST = "digest"
_MOST = 1 << 20


class EvidenceError(NodePoolsError):
    """The document cannot be taken for evidence: edited, broken, or of a newer schema."""


def write(evidence: Evidence) -> str:
    """Stable text: equal evidence is an equal document."""
    body = asdict(evidence)
    body |= {
        "schemaVersion": SCHEMA,
        "counted": sorted(evidence.counted),
        "seen": sorted(list(one) for one in evidence.seen),
    }
    return json.dumps({**body, _DIGEST: digest(body)}, sort_keys=True, ensure_ascii=False)


def read(text: str) -> Evidence:
    """The evidence; EvidenceError says why it is none."""
    if len(text) > _MOST:
        raise EvidenceError(
            f"the evidence is longer than {_MOST} characters, which no ConfigMap holds: it is no evidence"
        )
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise EvidenceError("the evidence is no JSON document: it was edited by hand or cut")
    stated = body.pop(_DIGEST, "")
    if stated != (right := digest(body)):
        raise EvidenceError(f"the evidence was edited by hand: its digest is {stated or 'missing'}, not {right}")
    if body.get("schemaVersion") != SCHEMA:
        raise EvidenceError(
            f"the evidence has schema {body.get('schemaVersion')}, this release reads {SCHEMA}: use the release of the "
            "collector that wrote it"
        )
    return _evidence(body)


def digest(body: Mapping[str, Any]) -> str:
    """Over everything but the digest itself."""
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def spec_digest(spec: Mapping[str, Any]) -> str:
    """What the user wrote of a version, as one short text; the order of keys does not matter."""
    return digest(spec)[: len("sha256:") + 32]


def _evidence(body: Mapping[str, Any]) -> Evidence:
    return Evidence(
        subject=Subject(**body["subject"]),
        began=body["began"],
        updated=body["updated"],
        boots=tuple(Boot(**one) for one in body["boots"]),
        gaps=tuple(Gap(**one) for one in body["gaps"]),
        gap_seconds=body["gap_seconds"],
        runs={group: Runs(**one) for group, one in body["runs"].items()},
        failures=tuple(Run(**one) for one in body["failures"]),
        counts=body["counts"],
        hits=tuple(Hit(**one) for one in body["hits"]),
        cursors=body["cursors"],
        counted=frozenset(body["counted"]),
        seen=frozenset((one[0], one[1], one[2]) for one in body["seen"]),
    )
