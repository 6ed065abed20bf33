"""The cluster that a command works on, and the pools that it holds meanwhile."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack

from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import LeaseHolder
from pulumi_nodepools.cluster.record import PoolRecord


def connect(context: str) -> Client:
    """Log in with the kubeconfig."""
    return Client.connect(Access(kind="kubeconfig", context=context or None))


def hold(stack: ExitStack, client: Client, pools: Sequence[str], stop: threading.Event) -> list[LeaseHolder]:
    """Hold all pools until the stack ends, in one order everywhere: two commands must not wait for each other."""
    return [stack.enter_context(PoolRecord(client, pool).hold(stop=stop)) for pool in sorted(pools)]
