"""Patch the nodes of a Kubernetes cluster on AWS with Pulumi, without interrupting what runs on them.

Public names are loaded when they are first used: the engine's plugin imports this package for every hook, and must not
pay for pulumi_aws there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_nodepools.args import (
        BlueGreenNodePoolArgs,
        ClusterArgs,
        GateArgs,
        NodeArgs,
        NodePoolArgs,
        RootVolumeArgs,
        SizeArgs,
    )
    from pulumi_nodepools.blue_green import BlueGreenNodePool, surveyed
    from pulumi_nodepools.bootstrap import EksJoin, KubeadmJoin, UserPart
    from pulumi_nodepools.cluster.access import Access
    from pulumi_nodepools.config import StackConfig, load
    from pulumi_nodepools.drain.settings import BatchGate, DrainSettings
    from pulumi_nodepools.drainer_access import DrainerAccess
    from pulumi_nodepools.errors import ConfigError, NodePoolsError
    from pulumi_nodepools.hooks.cutover import Cutover
    from pulumi_nodepools.hooks.drain_hook import DrainHook
    from pulumi_nodepools.hooks.readiness_gate import ReadinessGate
    from pulumi_nodepools.hooks.soak_gate import SoakGate
    from pulumi_nodepools.hooks.version_lock import VersionLock
    from pulumi_nodepools.host_validation import HostValidation, HostValidationArgs, SshHost
    from pulumi_nodepools.kernel_watch import KernelWatch
    from pulumi_nodepools.node_pool import NodePool
    from pulumi_nodepools.promotion import create_soak_tests
    from pulumi_nodepools.soak_args import SoakArgs
    from pulumi_nodepools.soak_test import SoakTest, SoakTestArgs
    from pulumi_nodepools.startup_validator import StartupValidator

_MODULES = {
    "Access": "cluster.access",
    "BatchGate": "drain.settings",
    "BlueGreenNodePool": "blue_green",
    "BlueGreenNodePoolArgs": "args",
    "ClusterArgs": "args",
    "ConfigError": "errors",
    "Cutover": "hooks.cutover",
    "DrainHook": "hooks.drain_hook",
    "DrainSettings": "drain.settings",
    "DrainerAccess": "drainer_access",
    "EksJoin": "bootstrap",
    "GateArgs": "args",
    "HostValidation": "host_validation",
    "HostValidationArgs": "host_validation",
    "KubeadmJoin": "bootstrap",
    "NodeArgs": "args",
    "NodePool": "node_pool",
    "NodePoolArgs": "args",
    "NodePoolsError": "errors",
    "ReadinessGate": "hooks.readiness_gate",
    "RootVolumeArgs": "args",
    "SizeArgs": "args",
    "KernelWatch": "kernel_watch",
    "SoakArgs": "soak_args",
    "SoakGate": "hooks.soak_gate",
    "SoakTest": "soak_test",
    "SoakTestArgs": "soak_test",
    "create_soak_tests": "promotion",
    "SshHost": "host_validation",
    "StartupValidator": "startup_validator",
    "StackConfig": "config",
    "UserPart": "bootstrap",
    "VersionLock": "hooks.version_lock",
    "load": "config",
    "surveyed": "blue_green",
}

__all__ = [
    "Access",
    "BatchGate",
    "BlueGreenNodePool",
    "BlueGreenNodePoolArgs",
    "ClusterArgs",
    "ConfigError",
    "Cutover",
    "DrainHook",
    "DrainSettings",
    "DrainerAccess",
    "EksJoin",
    "GateArgs",
    "HostValidation",
    "HostValidationArgs",
    "KernelWatch",
    "KubeadmJoin",
    "NodeArgs",
    "NodePool",
    "NodePoolArgs",
    "NodePoolsError",
    "ReadinessGate",
    "RootVolumeArgs",
    "SizeArgs",
    "SoakArgs",
    "SoakGate",
    "SoakTest",
    "SoakTestArgs",
    "SshHost",
    "StackConfig",
    "StartupValidator",
    "UserPart",
    "VersionLock",
    "create_soak_tests",
    "load",
    "surveyed",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
