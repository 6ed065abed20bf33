"""The plugin as the engine runs it: a process of its own, called over gRPC, and the text that a user would see."""

import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from pulumi_nodepools.hooks.drain_hook import DrainProvider


class Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self):
        self.lines = []

    def Log(self, request, context):  # noqa: N802 - named by the protocol
        self.lines.append((request.severity, request.urn, request.message))
        return empty_pb2.Empty()


@contextmanager
def plugin(**env):
    engine, server = Engine(), grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    command = [sys.executable, "-u", "-m", "pulumi.dynamic", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin", **env})
    try:
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            stub.process, stub.engine_server = process, server
            yield stub, engine
    finally:
        process.kill()
        process.communicate()
        server.stop(0).wait()


def _delete(stub, **props):
    properties = struct_pb2.Struct()
    properties.update({"__provider": serialize_provider(DrainProvider()), **props})
    stub.Delete(provider_pb2.DeleteRequest(id="some-id", properties=properties), timeout=30)


def _error(stub, **props):
    with pytest.raises(grpc.RpcError) as caught:
        _delete(stub, **props)
    return caught.value.details()


def test_an_expected_error_is_one_message():
    with plugin() as (stub, _):
        expected = _error(stub, pool="worker", version="v1", clusterUid="uid", access={"kind": "other"})
        assert expected.startswith("Stopped: access.kind: 'other' is neither")
        assert "Traceback" not in expected

        again = _error(stub, pool="worker")
        wanted = "Stopped: the recorded properties lack clusterUid, version, so the nodes they stand for cannot be told"
        assert again.startswith(wanted)
        assert len(again.splitlines()) == 1


def test_an_unexpected_error_keeps_its_traceback(tmp_path):
    broken = tmp_path / "kubernetes"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise RuntimeError("half installed")\n')
    with plugin(PYTHONPATH=str(tmp_path)) as (stub, engine):
        expected = _error(stub, pool="worker")
        assert "Traceback" not in expected
        unexpected = _error(stub, pool="worker", version="v1", clusterUid="uid")
        assert "Traceback" in unexpected, "also after an expected one"
        assert "access.py" in unexpected
        assert "half installed" in unexpected
        assert any("Traceback" in message for _, _, message in engine.lines)


def test_the_skip_variable_needs_the_exact_name_and_is_said_aloud():
    names = {"cluster": "prod", "pool": "worker", "urn": "urn:here"}
    with plugin(NODEPOOLS_DRAIN_SKIP="prod/worker/v1, prod/other/v2") as (stub, engine):
        _delete(stub, version="v1", **names)
        ((severity, urn, message),) = engine.lines
        assert (severity, urn) == (2, "urn:here")
        assert "prod/worker/v1: NODEPOOLS_DRAIN_SKIP names it: not drained" in message
        assert "clusterUid" in _error(stub, version="v", **names)
        assert "clusterUid" in _error(stub, version="v2", **names)


def test_an_idle_plugin_ends_once_its_engine_is_gone():
    names = {"cluster": "prod", "pool": "worker", "urn": "urn:here"}
    with plugin(NODEPOOLS_DRAIN_SKIP="prod/worker/v1") as (stub, _):
        _delete(stub, version="v1", **names)
        assert stub.process.poll() is None
        stub.engine_server.stop(0).wait()
        assert stub.process.wait(timeout=60) == 1
