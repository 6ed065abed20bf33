"""A plugin whose engine is gone ends, but never under a running operation."""

import socket
import sys
import threading
from types import SimpleNamespace

from pulumi_nodepools.hooks import orphan


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _request(work) -> threading.Thread:
    """A thread inside `Delete` of the SDK's servicer, as far as the interpreter's frames tell."""
    source = "def Delete(work):\n    work()\n"
    scope: dict = {}
    exec(compile(source, f"/venv/site-packages/{orphan._SERVICER}", "exec"), scope)
    thread = threading.Thread(target=scope["Delete"], args=(work,))
    thread.start()
    return thread


def test_a_listening_engine_is_alive_even_if_it_does_not_answer():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        assert not orphan.refused(f"127.0.0.1:{silent.getsockname()[1]}")
    assert orphan.refused(_free_address())


def test_the_process_ends_only_after_its_last_request():
    done, ended = threading.Event(), threading.Event()
    request = _request(done.wait)
    assert orphan.serving()
    watcher = threading.Thread(
        target=orphan.watch, args=(_free_address(),), kwargs={"beat": 0.01, "end": lambda code: ended.set()}
    )
    watcher.start()
    assert not ended.wait(0.3), "ended under a running operation"
    done.set()
    request.join(10)
    assert ended.wait(30)
    watcher.join(10)


def test_without_an_engine_nothing_is_watched(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program"])
    monkeypatch.setattr(orphan, "threading", SimpleNamespace())
    orphan.end_with_engine()
