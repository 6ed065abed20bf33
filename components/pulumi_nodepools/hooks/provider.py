"""What the dynamic providers share: echoing properties, comparing them, hiding the serialized provider.

Properties come back from the engine with integers as floats, `Unknown` objects in previews and `None` after a failed
dependency; state written by any older release must still be readable.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import pulumi
from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.hooks.orphan import end_with_engine

PROVIDER = "__provider"
_Props = TypeVar("_Props")


def plain(value: Any) -> Any:
    """The value with whole floats as integers, at any depth. Unknowns stay as they are."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def decoded(read: Callable[[Any, Mapping[str, Any]], _Props]) -> Callable[[Any, Mapping[str, Any]], _Props]:
    """A `read` of properties whose every failure over their shape is a ConfigError: a state may have been edited."""

    @functools.wraps(read)
    def reading(cls: Any, props: Mapping[str, Any]) -> _Props:
        try:
            return read(cls, props)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the recorded properties of {props.get('pool')} {props.get('version') or props.get('active')} cannot "
                f"be read ({type(error).__name__}: {error}); nothing was done. If the state was edited put it back "
                "(`pulumi stack export --version`), or run `pulumi up` with a program that sets them anew"
            ) from None

    return reading


def unknown(value: Any) -> bool:
    """Whether any part of the value is not known yet."""
    if isinstance(value, Mapping):
        return any(unknown(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(unknown(item) for item in value)
    return isinstance(value, Unknown)


def changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The keys whose values differ. Unknown differs from everything, `None` from nothing: it says nothing."""
    return [
        key
        for key in keys
        if news.get(key) is not None and (unknown(news[key]) or plain(news[key]) != plain(olds.get(key)))
    ]


def require_known(props: Mapping[str, Any], *keys: str) -> None:
    """ConfigError if a group, or what stands under `keys`, is not known when something acts: it was left out of a run.

    The engine would store a resource whose dependency does not exist, and then refuse to read that state.
    """
    groups = props.get("groups") or ()
    # In an update the engine leaves out what it does not know.
    told = not unknown(groups) and all(group.get(part) for group in groups for part in ("name", "arn"))
    if not told or any(props.get(key) is None or unknown(props[key]) for key in keys):
        raise ConfigError(
            f"a group or hook of pool {props.get('pool')} that does not exist yet was left out of this run. Run "
            "`pulumi up` without --target and --exclude"
        )


def echo(props: Mapping[str, Any]) -> dict[str, Any]:
    """Properties as outputs: everything but the provider, which the servicer puts back itself."""
    return {key: plain(value) for key, value in props.items() if key != PROVIDER}


def with_pending(found: DiffResult, news: Mapping[str, Any]) -> DiffResult:
    """A diff that also says "changed" while the cluster remembers a switch that did not come to its end.

    The state alone cannot tell: what a failed update has begun leaves no trace there.
    """
    return DiffResult(
        changes=bool(found.changes or news.get("pending")), replaces=found.replaces, delete_before_replace=False
    )


class EchoProvider(ResourceProvider):
    """Keeps what it is given. Stateless: one object serves all threads of the plugin."""

    serialize_as_secret_always = False
    identity: ClassVar[tuple[str, ...]] = ()
    """Keys that name what the resource stands for: a change replaces it."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Keys that may change in place."""

    def configure(self, _req: ConfigureRequest) -> None:
        # The SDK calls it in the plugin process only, before the first request of each provider.
        end_with_engine()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaces = changed(olds, news, self.identity)
        # A new serialized form must reach the state, or a later delete may not be able to load it.
        changes = changed(olds, news, (*self.settings, PROVIDER))
        return DiffResult(changes=bool(replaces or changes), replaces=replaces, delete_before_replace=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(self.id_of(props), echo(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        # An empty id would drop the resource from the state, and with it the drain.
        return ReadResult(id_ or self.id_of(props), echo(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(echo(news))

    def id_of(self, props: Mapping[str, Any]) -> str:
        """A readable id that is the same on every call."""
        parts = (props.get("cluster"), props.get("pool"), props.get("version"))
        return "/".join(str(part) for part in parts if part) or "nodepools"


def hidden(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """The options with the serialized provider left out of every displayed diff."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hide_diffs=[PROVIDER]))
