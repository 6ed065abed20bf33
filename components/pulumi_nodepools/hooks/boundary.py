"""Where an exception leaves this library for Pulumi's engine: one message for ours, the traceback for all others.

The SDK's servicer sends `traceback.format_exc()` to the terminal. An expected failure must read as one text there; an
unexpected one is a defect and keeps every frame, in the engine's debug log first.
"""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.hooks.progress import Engine

_Method = TypeVar("_Method", bound=Callable[..., Any])


class Stopped(Exception):  # noqa: N818 - the user reads this name in front of every message
    """An expected failure as the engine shows it."""


# Names of builtins are printed without a module in front.
Stopped.__module__ = "builtins"


def boundary(method: _Method) -> _Method:
    """Wrap a provider method. Refuses coroutines: the SDK would report an unawaited delete as done."""
    if inspect.iscoroutinefunction(method):
        raise TypeError(f"{method.__qualname__} must be synchronous: the plugin never awaits it")

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except NodePoolsError as error:
            message = str(error)
        except Exception:
            # Process-wide, hence undone here: an expected failure on another thread may have set it.
            vars(sys).pop("tracebacklimit", None)
            Engine.of_this_process().debug(traceback.format_exc())
            raise
        sys.tracebacklimit = 0
        raise Stopped(message) from None

    return guarded  # type: ignore[return-value]
