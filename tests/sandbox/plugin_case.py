"""A stand-in plugin driven as the engine drives it, with plain values in and out."""

import asyncio
from typing import Any

from pulumi.provider.experimental import provider as api

from sandbox.plugins.host import Plugin
from sandbox.plugins.values import plain_map, wrap_map


class Engine:
    """Check, diff and the operations for resources of one plugin."""

    def __init__(self, plugin: Plugin, **settings: Any) -> None:
        self.plugin = plugin
        asyncio.run(plugin.configure(api.ConfigureRequest({}, wrap_map(settings), False, False)))

    def check(
        self, token: str, name: str, news: dict[str, Any], olds: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """(checked inputs, {property: reason of the failure})."""
        request = api.CheckRequest(urn(token, name), wrap_map(olds or {}), wrap_map(news), b"\x01\x23\x45\x67")
        answer = asyncio.run(self.plugin.check(request))
        return plain_map(answer.inputs), {each.property: each.reason for each in answer.failures or []}

    def preview(self, token: str, name: str, news: dict[str, Any]) -> dict[str, Any]:
        inputs, failures = self.check(token, name, news)
        assert not failures, failures
        answer = asyncio.run(self.plugin.create(api.CreateRequest(urn(token, name), wrap_map(inputs), 0, True)))
        assert not answer.resource_id
        return plain_map(answer.properties)

    def create(self, token: str, name: str, news: dict[str, Any]) -> "Resource":
        inputs, failures = self.check(token, name, news)
        assert not failures, failures
        answer = asyncio.run(self.plugin.create(api.CreateRequest(urn(token, name), wrap_map(inputs), 0, False)))
        assert answer.resource_id
        return Resource(self, token, name, answer.resource_id, state=plain_map(answer.properties), inputs=inputs)


class Resource:
    """A created resource and what the engine's state holds of it."""

    def __init__(
        self, engine: Engine, token: str, name: str, resource_id: str, *, inputs: dict[str, Any], state: dict[str, Any]
    ) -> None:
        self.engine, self.token, self.name = engine, token, name
        self.id, self.inputs, self.state = resource_id, inputs, state

    def diff(self, news: dict[str, Any], ignore: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
        """(changed properties, those of them that replace)."""
        inputs, failures = self.engine.check(self.token, self.name, news, self.inputs)
        assert not failures, failures
        request = api.DiffRequest(
            urn(self.token, self.name), self.id, wrap_map(self.state), wrap_map(inputs), list(ignore)
        )
        answer = asyncio.run(self.engine.plugin.diff(request))
        assert bool(answer.diffs) == answer.changes
        assert set(answer.detailed_diff) == set(answer.diffs)
        return answer.diffs, answer.replaces

    def update(self, news: dict[str, Any], ignore: tuple[str, ...] = (), preview: bool = False) -> dict[str, Any]:
        inputs, failures = self.engine.check(self.token, self.name, news, self.inputs)
        assert not failures, failures
        request = api.UpdateRequest(
            urn(self.token, self.name), self.id, wrap_map(self.state), wrap_map(inputs), 0, list(ignore), preview
        )
        outputs = plain_map(asyncio.run(self.engine.plugin.update(request)).properties)
        if not preview:
            self.inputs, self.state = inputs, outputs
        return outputs

    def refresh(self) -> bool:
        """Read as `pulumi refresh` does; False when it is gone."""
        request = api.ReadRequest(urn(self.token, self.name), self.id, wrap_map(self.state), wrap_map(self.inputs))
        answer = asyncio.run(self.engine.plugin.read(request))
        if not answer.resource_id:
            return False
        self.state, self.inputs = plain_map(answer.properties), plain_map(answer.inputs)
        return True

    def delete(self, timeout: float = 0) -> None:
        request = api.DeleteRequest(urn(self.token, self.name), self.id, wrap_map(self.state), timeout)
        asyncio.run(self.engine.plugin.delete(request))


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::project::{token}::{name}"
