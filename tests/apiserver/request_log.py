"""What drains asked of the API server, from the server's own audit log, and what no drain may ever ask.

Requests are told apart by their user agent: the product names itself, tests and controllers have other names.
"""

import json
import time
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

AGENT = "pulumi-nodepools"
_LAG = 5.0
"""Seconds within which a drain has to have heard by its watch that somebody else deleted a pod."""


class RequestLog:
    """The audit log of one control plane, read on from where it was read last; from byte `begin` at first."""

    def __init__(self, path, *, begin=0):
        self._path = path
        self._read = begin
        self._accepted = {}
        self._terminating = {}
        self._forced = []
        self.evictions = 0

    @contextmanager
    def forcing(self):
        """Within the block a drain may delete pods."""
        begin = time.time()
        try:
            yield
        finally:
            self._forced.append((begin, time.time()))

    def violations(self):
        """One line for each request since the last call that should never have been sent."""
        return [line for event in self._events() for line in self._judge(event)]

    def _events(self):
        with self._path.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return sorted((json.loads(line) for line in whole.splitlines()), key=lambda event: event["stageTimestamp"])

    def _judge(self, event):
        about = event.get("objectRef", {})
        what = (event["verb"], about.get("resource"), about.get("subresource"))
        if what == ("delete", "pods", None):
            self._remember_deletion(event)
        if event.get("userAgent") != AGENT:
            return
        rule = _RULES.get(what)
        for broken in rule(self, event) if rule else ():
            yield f"{broken}: {event['verb']} {event['requestURI']} at {event['requestReceivedTimestamp']}"

    def _remember_deletion(self, event):
        meta = (event.get("responseObject") or {}).get("metadata", {})
        if _ok(event) and meta.get("deletionTimestamp"):
            self._terminating.setdefault(meta["uid"], _ended(event))

    def _eviction(self, event):
        if "requestObject" not in event and event["responseStatus"]["code"] in (401, 403, 429):
            return  # refused before the server read the body: unknown, no right to it, or too many requests
        self.evictions += 1
        options = (event.get("requestObject") or {}).get("deleteOptions") or {}
        uid = (options.get("preconditions") or {}).get("uid")
        if not uid:
            yield "eviction without a UID"
            return
        if "gracePeriodSeconds" in options:
            yield "eviction with a grace that is not the pod's own"
        began = _began(event)
        if began > self._accepted.get(uid, began):
            yield "eviction of a pod whose eviction was accepted before"
        elif began > self._terminating.get(uid, began) + _LAG:
            yield "eviction of a pod that somebody else had deleted"
        if _ok(event):
            self._accepted.setdefault(uid, _ended(event))

    def _deletion(self, event):
        options = event.get("requestObject") or {}
        if not any(begin <= _began(event) <= end for begin, end in self._forced):
            yield "deletion of a pod although nobody forced it"
        if not (options.get("preconditions") or {}).get("uid"):
            yield "deletion without a UID"
        if options.get("gracePeriodSeconds", 0) < 1:
            yield "deletion without a grace of its own"

    def _get(self, _event):
        yield "request for a single pod"

    def _list(self, event):
        asked = urlsplit(event["requestURI"])
        query = parse_qs(asked.query)
        if "fieldSelector" in query:
            yield "list of the pods of one node"
        elif asked.path == "/api/v1/pods" and "limit" not in query:
            yield "list of pods that is not paged"


_RULES = {
    ("create", "pods", "eviction"): RequestLog._eviction,
    ("delete", "pods", None): RequestLog._deletion,
    ("get", "pods", None): RequestLog._get,
    ("list", "pods", None): RequestLog._list,
    ("watch", "pods", None): lambda log, event: ["watch of one node"] if "fieldSelector" in event["requestURI"] else [],
}


def _ok(event):
    return event.get("responseStatus", {}).get("code", 0) in (200, 201, 202)


def _began(event):
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def _ended(event):
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()
