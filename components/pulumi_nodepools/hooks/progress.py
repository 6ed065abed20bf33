"""The plugin's line to Pulumi's engine: progress beside the resource, and whether the engine still lives.

Losing a progress line never matters. Losing the engine does: an orphaned plugin must start nothing new, since the next
`pulumi up` will drain too.
"""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ADDRESS = re.compile(r"[\w.\[\]:-]+:\d+")
_LIMIT = 240
"""A status column longer than a wide terminal is cut by the engine in the middle of a word."""
_BEAT = 2.0
_MISSES = 3


class Engine:
    """The engine that started this plugin; a silent object where there is none (tests, the command line)."""

    def __init__(self, address: str | None) -> None:
        self.address = address
        self._stub: Any = None
        self._lock = threading.Lock()

    @classmethod
    def of_this_process(cls) -> "Engine":
        """The engine whose address is the plugin's first argument."""
        first = sys.argv[1] if len(sys.argv) > 1 else ""
        return cls(first if _ADDRESS.fullmatch(first) else None)

    def status(self, urn: str, message: str) -> None:
        """Replace the live status line of the resource."""
        self._log("INFO", urn, message[:_LIMIT], ephemeral=True)

    def info(self, urn: str, message: str) -> None:
        """Add a line that stays."""
        self._log("INFO", urn, message)

    def warn(self, urn: str, message: str) -> None:
        """Add a warning that stays and is counted."""
        self._log("WARNING", urn, message)

    def debug(self, message: str) -> None:
        """Write to the engine's debug log only."""
        self._log("DEBUG", "", message)

    def alive(self) -> bool:
        """Whether the engine answers now. Any answer counts, even a refusal."""
        return self.address is None or self._log("DEBUG", "", "nodepools: at work", ephemeral=True)

    @contextmanager
    def watched(self, stop: threading.Event) -> Iterator["Watch"]:
        """For the block, ask the engine every few seconds whether it lives; set `stop` when it no longer does."""
        watch = Watch(self, stop)
        watch.start()
        try:
            yield watch
        finally:
            watch.end()

    def _log(self, severity: str, urn: str, message: str, *, ephemeral: bool = False) -> bool:
        if self.address is None:
            return False
        import grpc  # noqa: PLC0415 - only where an engine is
        from pulumi.runtime.proto import engine_pb2  # noqa: PLC0415

        request = engine_pb2.LogRequest(
            severity=getattr(engine_pb2, severity), message=message, urn=urn, ephemeral=ephemeral
        )
        try:
            self._connected().Log(request, timeout=5)
        except grpc.RpcError as error:
            return bool(error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
        return True

    def _connected(self) -> Any:
        import grpc  # noqa: PLC0415
        from pulumi.runtime.proto import engine_pb2_grpc  # noqa: PLC0415

        with self._lock:
            if self._stub is None:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self.address))
            return self._stub


class Watch:
    """Asks for the engine's life in the background. `gone` says so in words once it is over."""

    def __init__(self, engine: Engine, stop: threading.Event, *, beat: float = _BEAT) -> None:
        self._engine = engine
        self._stop = stop
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="engine-watch", daemon=True)
        self.gone = ""

    def start(self) -> None:
        """Begin asking, unless there is no engine to ask."""
        if self._engine.address is not None:
            self._thread.start()

    def end(self) -> None:
        """Stop asking."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _keep(self) -> None:
        misses = 0
        while not self._ended.wait(self._beat):
            misses = 0 if self._engine.alive() else misses + 1
            if misses == _MISSES:
                self.gone = (
                    "Pulumi's engine is gone (killed?): nothing more is started here. Run `pulumi cancel` and "
                    "`pulumi up` again: it resumes where this run stopped"
                )
                self._stop.set()
                return
