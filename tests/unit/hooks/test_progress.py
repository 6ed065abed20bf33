"""The line to the engine: lost lines do not matter, a lost engine does."""

import threading
from concurrent import futures

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc

from pulumi_nodepools.hooks.progress import Engine, Watch


class Recorder(engine_pb2_grpc.EngineServicer):
    def __init__(self):
        self.lines = []
        self.asked = threading.Event()

    def Log(self, request, context):  # noqa: N802 - named by the protocol
        self.lines.append(request)
        self.asked.set()
        return empty_pb2.Empty()


@pytest.fixture
def served():
    recorder, server = Recorder(), grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Engine(f"127.0.0.1:{port}"), recorder, server
    server.stop(0).wait()


def test_status_lines_are_live_and_bounded(served):
    engine, recorder, _ = served
    engine.status("urn:x", "y" * 1000)
    (line,) = recorder.lines
    assert (line.urn, line.ephemeral, len(line.message)) == ("urn:x", True, 240)


def test_an_engine_that_dies_stops_the_work_once_it_stays_silent(served):
    engine, recorder, server = served
    stop = threading.Event()
    watch = Watch(engine, stop, beat=0.01)
    watch.start()
    assert recorder.asked.wait(5)
    assert not stop.is_set()
    server.stop(0).wait()
    assert stop.wait(30)
    assert "pulumi cancel" in watch.gone
    watch.end()


def test_without_an_engine_everything_is_quiet_and_alive():
    engine = Engine(None)
    engine.warn("urn:x", "nobody hears this")
    assert engine.alive()
    with engine.watched(threading.Event()) as watch:
        assert not watch.gone


@pytest.mark.parametrize(
    ("first", "address"), [("127.0.0.1:4000", "127.0.0.1:4000"), ("tests/unit", None), ("drain", None), ("-q", None)]
)
def test_only_an_address_is_taken_for_an_engine(monkeypatch, first, address):
    monkeypatch.setattr("sys.argv", ["program", first])
    assert Engine.of_this_process().address == address
