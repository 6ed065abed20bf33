"""Where evidence is kept: one ConfigMap for each version, written by the collector alone."""

from typing import Any

from pulumi_nodepools.in_cluster.api import Api, Unanswered
from pulumi_nodepools.names import EVIDENCE_KEY, POOL_LABEL, VERSION_LABEL, evidence_name
from pulumi_nodepools.soak.document import EvidenceError, read, write
from pulumi_nodepools.soak.evidence import Evidence, Subject

DISCARDED = "discarded.json"
"""What stood there when it could not be taken for evidence any more; for people to look at."""


class Store:
    """One subject's evidence in the cluster."""

    def __init__(self, api: Api, namespace: str, subject: Subject) -> None:
        self._api = api
        self._subject = subject
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._name = evidence_name(subject.pool, subject.version)
        self._current: Any = None
        self._discarded = ""

    def load(self, now: float, away: str) -> Evidence:
        """What is there, with the time since as a gap for the reason `away`; begun anew, and saying so, if that cannot
        be used."""
        try:
            self._current = self._api.get(f"{self._path}/{self._name}")
        except Unanswered as error:
            if error.status != 404:
                raise
            self._current = None
        data = (self._current or {}).get("data") or {}
        self._discarded = data.get(DISCARDED, "")
        begun = Evidence(self._subject, now, now)
        if EVIDENCE_KEY not in data:
            return begun
        try:
            found = read(data[EVIDENCE_KEY])
        except EvidenceError as error:
            return self._anew(begun, data[EVIDENCE_KEY], str(error))
        if found.subject != self._subject:
            return self._anew(begun, data[EVIDENCE_KEY], f"it was of {found.subject}")
        return found.gapped(found.updated, now, away)

    def _anew(self, begun: Evidence, text: str, reason: str) -> Evidence:
        self._discarded = text
        return begun.gapped(begun.began, begun.began, f"begun anew: {reason}")

    def save(self, evidence: Evidence) -> bool:
        """Write; False if somebody else has written since, and what is there must be loaded again."""
        data = {EVIDENCE_KEY: write(evidence)} | ({DISCARDED: self._discarded} if self._discarded else {})
        labels = {POOL_LABEL: self._subject.pool, VERSION_LABEL: self._subject.version}
        try:
            if self._current is None:
                body = {"metadata": {"name": self._name, "labels": labels}, "data": data}
                self._current = self._api.create(self._path, body)
            else:
                metadata = {**self._current["metadata"], "labels": labels}
                body = {"metadata": metadata, "data": data}
                self._current = self._api.replace(f"{self._path}/{self._name}", body)
        except Unanswered as error:
            if error.status in {404, 409}:
                return False
            raise
        return True
