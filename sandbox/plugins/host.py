"""What the three stand-in plugins share: the gRPC process, checks by shape, diffs by property, previews with unknowns.

A plugin brings a `Kind` per resource type. Kinds get and return plain values and run in threads, so they may block.
Expected failures are `PluginError`: the engine prints its one message, without the traceback that other errors keep.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
import grpc.aio
from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.plugins.values import UNKNOWN, Shape, has_unknown, misfits, plain_map, wrap_map

Props = dict[str, Any]
Inputs = Mapping[str, Shape]
ENGINE_LOOK = 1.0
_EMPTY: tuple[Any, ...] = (None, [], {}, "")


class PluginError(NotImplementedError):
    """A failure to show as it is. (The SDK's server adds a traceback to every other class of exception.)

    `partial` is (id, properties) of a resource that exists although its creation failed: the engine then records it.
    """

    def __init__(self, message: str, *, partial: tuple[str, Props] | None = None) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass(frozen=True)
class Context:
    """What a kind may want to know about the call besides the properties."""

    urn: str
    timeout: float = 0.0
    """Seconds of the resource's custom timeout; 0 when none was given."""
    ignore: frozenset[str] = frozenset()


class Kind:
    """One resource type. Subclasses fill in the class attributes and the four operations."""

    inputs: ClassVar[Inputs] = {}
    required: Sequence[str] = ()
    force_new: Sequence[str] = ()
    """Inputs whose change replaces the resource."""
    optional_computed: Sequence[str] = ()
    """Inputs that keep what the service chose when the program leaves them out."""
    defaults: ClassVar[Props] = {}
    computed: Sequence[str] = ()
    """Outputs that are unknown until the resource exists."""
    auto_name: str | None = None
    """The input that gets a generated name when it is left out."""
    before_replace = False
    """Whether a replacement may only be created once the old one is gone."""

    def check(self, news: Props, olds: Props) -> list[tuple[str, str]]:  # noqa: ARG002
        """(property, reason) of what is wrong beyond shapes; may complete `news` in place."""
        return []

    def differs(self, key: str, old: Any, new: Any) -> bool:  # noqa: ARG002
        return bool(old != new)

    def compare(self, state: Props, news: Props, ignored: Collection[str] = ()) -> dict[str, bool]:
        """Changed inputs, each with whether it replaces the resource."""
        changed: dict[str, bool] = {}
        for key in self.inputs:
            if key in ignored or (key not in news and key in self.optional_computed):
                continue
            old, new = state.get(key), news.get(key)
            empty = old in _EMPTY and new in _EMPTY
            if not empty and (has_unknown(new) or self.differs(key, old, new)):
                changed[key] = key in self.force_new
        return changed

    def recomputed(self, changed: set[str]) -> Sequence[str]:  # noqa: ARG002
        """Outputs that an update of these inputs will change."""
        return ()

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        raise NotImplementedError

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:
        """What is there now; None when nothing is."""
        raise NotImplementedError

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:
        raise NotImplementedError

    def delete(self, resource_id: str, state: Props, context: Context) -> None:
        raise NotImplementedError


class Plugin(api.Provider):
    """Serves the kinds of one package; subclasses add configuration and functions."""

    package = ""

    def kind(self, token: str) -> Kind:
        raise NotImplementedError

    def functions(self) -> Mapping[str, Callable[[Props], Props]]:
        return {}

    def set_up(self, settings: Props) -> None:
        """Take the provider's configuration (plain values; unknown in the preview of a new provider)."""

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        await asyncio.to_thread(self.set_up, plain_map(request.args))
        return api.ConfigureResponse(supports_preview=True)

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        kind = self.kind(_token(request.type))
        news, olds = plain_map(request.new_inputs), plain_map(request.old_inputs)
        failures = misfits("", news, dict(kind.inputs)) if kind.inputs else []
        for key, value in kind.defaults.items():
            news.setdefault(key, value)
        if kind.auto_name and kind.auto_name not in news and "namePrefix" not in news:
            news[kind.auto_name] = olds.get(kind.auto_name) or f"{request.name}-{suffix_of(request.random_seed)}"
        failures += [(name, "is required and was not given") for name in kind.required if name not in news]
        if not failures:
            failures = kind.check(news, olds)
        return api.CheckResponse(wrap_map(news), [api.CheckFailure(name, why) for name, why in failures])

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        kind = self.kind(_token(request.type))
        state, news = plain_map(request.old_state), plain_map(request.new_inputs)
        changed = kind.compare(state, news, _tops(request.ignore_changes))
        replaces = sorted(key for key, replace in changed.items() if replace)
        return api.DiffResponse(
            changes=bool(changed),
            replaces=replaces,
            diffs=sorted(changed),
            delete_before_replace=bool(replaces) and kind.before_replace,
            detailed_diff={
                key: api.PropertyDiff(_how(key in state, key in news, replace), input_diff=False)
                for key, replace in changed.items()
            },
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        kind, props = self.kind(_token(request.type)), plain_map(request.properties)
        if request.preview:
            unknown = dict.fromkeys((name for name in kind.computed if name not in props), UNKNOWN)
            return api.CreateResponse(None, wrap_map({**props, **unknown}))
        context = Context(request.urn, request.timeout)
        resource_id, outputs = await asyncio.to_thread(kind.create, props, context)
        return api.CreateResponse(resource_id, wrap_map(outputs))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        kind, inputs = self.kind(_token(request.type)), plain_map(request.inputs)
        state = plain_map(request.properties)
        found = await asyncio.to_thread(kind.read, request.resource_id, state, Context(request.urn))
        if found is None:
            return api.ReadResponse("")
        # As the real providers: a refresh renews the inputs that the program gave, an import takes all.
        kept = [key for key in (inputs or kind.inputs) if key in found]
        fresh = {key: given_part(inputs.get(key), found[key], kind.inputs.get(key)) for key in kept}
        return api.ReadResponse(request.resource_id, wrap_map(found), wrap_map(fresh))

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        kind = self.kind(_token(request.type))
        olds, news = plain_map(request.olds), plain_map(request.news)
        ignored = _tops(request.ignore_changes)
        if request.preview:
            changed = set(kind.compare(olds, news, ignored))
            return api.UpdateResponse(wrap_map({**olds, **news, **dict.fromkeys(kind.recomputed(changed), UNKNOWN)}))
        context = Context(request.urn, request.timeout, frozenset(ignored))
        outputs = await asyncio.to_thread(kind.update, request.resource_id, olds, news, context)
        return api.UpdateResponse(wrap_map(outputs))

    async def delete(self, request: api.DeleteRequest) -> None:
        context = Context(request.urn, request.timeout)
        state = plain_map(request.properties)
        await asyncio.to_thread(self.kind(_token(request.type)).delete, request.resource_id, state, context)

    async def invoke(self, request: api.InvokeRequest) -> api.InvokeResponse:
        function = self.functions().get(request.tok)
        if function is None:
            raise PluginError(f"the sandbox's {self.package} plugin does not know the function {request.tok}")
        return api.InvokeResponse(wrap_map(await asyncio.to_thread(function, plain_map(request.args))))


def _token(qualified: str) -> str:
    """A resource's own type: the type in a URN names those of its parents before it."""
    return qualified.rpartition("$")[2]


def given_part(given: Any, found: Any, shape: Shape) -> Any:
    """What of `found` the program wrote: the fields that it gave of an object, all of a map, a list or a value."""
    if isinstance(given, dict) and isinstance(found, dict) and isinstance(shape, dict) and "*" not in shape:
        return {key: given_part(given[key], found[key], shape.get(key)) for key in given if key in found}
    return found


def _tops(paths: Sequence[str]) -> set[str]:
    return {path.partition(".")[0].partition("[")[0] for path in paths}


def suffix_of(seed: bytes) -> str:
    return (seed.hex() or "0000000")[:7]


def _how(before: bool, after: bool, replace: bool) -> api.PropertyDiffKind:
    kinds = api.PropertyDiffKind
    if not before:
        return kinds.ADD_REPLACE if replace else kinds.ADD
    if not after:
        return kinds.DELETE_REPLACE if replace else kinds.DELETE
    return kinds.UPDATE_REPLACE if replace else kinds.UPDATE


class _Servicer(ProviderServicer):
    """The SDK's servicer with expected failures told as one message."""

    async def _told(self, call: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
        try:
            return await call(request, context)
        except PluginError as error:
            if error.partial is not None:
                context.set_trailing_metadata((("grpc-status-details-bin", partial_status(error, request)),))
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().CheckConfig, request, context)

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Configure, request, context)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Check, request, context)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Diff, request, context)

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Create, request, context)

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Read, request, context)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Update, request, context)

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Delete, request, context)

    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._told(super().Invoke, request, context)


def partial_status(error: PluginError, request: Any) -> bytes:
    """The gRPC status by which the engine learns that a resource exists although the operation failed."""
    assert error.partial is not None
    resource_id, outputs = error.partial
    detail = provider_pb2.ErrorResourceInitFailed(id=resource_id, reasons=[str(error)])
    detail.properties.CopyFrom(PropertyValue.marshal_map(wrap_map(outputs)))
    inputs = getattr(request, "properties", None) or getattr(request, "news", None)
    if inputs is not None:
        detail.inputs.CopyFrom(inputs)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    serialized: bytes = status.SerializeToString()
    return serialized


def serve(plugin: Plugin, version: str) -> None:
    """The plugin process: print the port, answer until the engine ends it or, as real plugins, until it is gone."""
    parser = argparse.ArgumentParser(description=f"stand-in for the Pulumi plugin {plugin.package}")
    parser.add_argument("engine", nargs="?", default="", help="address of the engine")
    arguments, _ = parser.parse_known_args()
    engine = os.getppid()

    async def run() -> None:
        server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        servicer = _Servicer(sys.argv[1:], version, plugin, engine_address=arguments.engine)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        while os.getppid() == engine:
            await asyncio.sleep(ENGINE_LOOK)
        os._exit(0)  # an operation may be under way in a thread; nobody is left to hear of its end

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return
