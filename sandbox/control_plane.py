"""A real Kubernetes control plane on 127.0.0.1: etcd, API server, controllers, scheduler, and kwok as every kubelet.

Authorization is RBAC and every connection is TLS with client certificates, so that missing rights, limited tokens and
expired certificates behave as in a real cluster. A control plane begins empty each time it is started; where its
binaries come from is `sandbox.binaries`' business, and who registers Nodes is the fleet's.
"""

import fcntl
import json
import random
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.certificates import Authority, Pair
from sandbox.processes import Processes, SandboxError, stop_each

STAGES = Path(__file__).parent / "kwok" / "stages.yaml"
AUDIT_POLICY = Path(__file__).parent / "audit-policy.yaml"
SERVICE_RANGE = "10.96.0.0/16"
# Below the range from which Linux takes ports of outgoing connections, so that none is taken between choice and use.
PORTS = range(20_000, 32_000)
# The order in which they are ended: an API server that has lost its etcd hangs for over a minute.
PARTS = ("kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")
# Twelve binaries of 100 MB may have to come from a cold disk.
PATIENCE = 90.0
_FAREWELL = 2.0
"""Seconds that a part has to end by itself."""


class ControlPlane:
    """One control plane in one folder. `binaries` names the executable of each part (see `PARTS`).

    With `audit` the API server writes down what is asked about pods and nodes (audit-policy.yaml) in `audit_log`.
    """

    def __init__(self, root: Path, binaries: Mapping[str, Path], *, audit: bool = False) -> None:
        self.root = root
        self.kubeconfig = root / "kubeconfig"
        self.audit_log = root / "logs" / "audit.log"
        self._audit = audit
        self._binaries = binaries
        self._folder = root / "control-plane"
        self._processes = Processes(root)
        self._authority = Authority(self._folder / "pki")
        self._ports_file = self._folder / "ports.json"

    @property
    def endpoint(self) -> str:
        try:
            return f"https://127.0.0.1:{json.loads(self._ports_file.read_text())['api']}"
        except FileNotFoundError as missing:
            raise SandboxError(
                f"there is no control plane in {self.root}; start one with `make sandbox-up`"
            ) from missing

    def status(self) -> dict[str, bool]:
        return {name: self._processes.alive(name) for name in reversed(PARTS)}

    def running(self) -> bool:
        return all(self.status().values()) and self._ready()

    def start(self) -> bool:
        """False when it was running already. Whatever a crash left of an earlier one is ended first."""
        with locked(self.root / "control-plane.lock"):
            if self.running():
                return False
            self._end_all()
            shutil.rmtree(self._folder, ignore_errors=True)
            self.kubeconfig.unlink(missing_ok=True)
            self._folder.mkdir(parents=True)
            try:
                self._begin()
            except BaseException:
                self._end_all()
                raise
            return True

    def stop(self) -> bool:
        """Ends every part; True if any ran. Logs and the kubeconfig stay for a look afterwards."""
        with locked(self.root / "control-plane.lock"):
            return self._end_all()

    def mint_kubeconfig(self, path: Path, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for a user of any name, with no rights but those that RBAC grants that user or the groups."""
        pair = self._authority.issue(f"client-{path.stem}", user, groups)
        return self._authority.kubeconfig(path, self.endpoint, pair, user)

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One call as the administrator: status and decoded answer. For the sandbox itself and its tests."""
        admin = Pair(self._folder / "pki" / "admin.crt", self._folder / "pki" / "admin.key")
        context = ssl.create_default_context(cafile=str(self._authority.pair.certificate))
        context.load_cert_chain(admin.certificate, admin.key)
        # No proxy: whatever the environment says, this is our own machine.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        data = None if body is None else json.dumps(body).encode()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.endpoint + path, data=data, method=method, headers={"Content-Type": kind, "Accept": "application/json"}
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, _decoded(refused.read())

    def _begin(self) -> None:
        ports = dict(zip(("etcd", "peer", "api"), free_ports(3), strict=True))
        self._ports_file.write_text(json.dumps(ports))
        self._authority.create()
        server = self._authority.issue("server", "sandbox-server")
        tokens = self._authority.signing_key("service-account")
        admin = self._authority.issue("admin", "sandbox-admin", ["system:masters"])
        self._start("etcd", self._etcd_arguments(ports, server))
        self._processes.wait("etcd", lambda: _listens(ports["etcd"]), timeout=PATIENCE, what="its port")
        self._start("kube-apiserver", self._api_arguments(ports, server, tokens))
        self._processes.wait("kube-apiserver", self._ready, timeout=PATIENCE, what="readiness (/readyz)")
        self._authority.kubeconfig(self.kubeconfig, self.endpoint, admin, "sandbox-admin")
        self._start("kube-controller-manager", self._manager_arguments(tokens))
        self._start("kube-scheduler", self._scheduler_arguments())
        self._start("kwok", ["--kubeconfig", self.kubeconfig, "--config", STAGES, "--v=WARN"])
        # Before this account exists no pod can be created; its maker is the controller manager.
        self._processes.wait(
            "kube-controller-manager",
            lambda: self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200,
            timeout=PATIENCE,
            what="the first service account",
        )
        for name in PARTS:
            self._processes.wait(name, lambda: True, timeout=0, what="the others were ready")

    def _start(self, name: str, arguments: Sequence[str | Path]) -> None:
        self._processes.start(name, [self._binaries[name], *arguments])

    def _etcd_arguments(self, ports: Mapping[str, int], server: Pair) -> list[str]:
        client, peer = f"https://127.0.0.1:{ports['etcd']}", f"https://127.0.0.1:{ports['peer']}"
        arguments = {
            "name": "sandbox",
            "data-dir": self._folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"sandbox={peer}",
            "log-level": "warn",
            # The data does not outlive the sandbox, so nothing is gained by waiting for the disk.
            "unsafe-no-fsync": "true",
        }
        for prefix in ("", "peer-"):
            arguments[f"{prefix}cert-file"] = server.certificate
            arguments[f"{prefix}key-file"] = server.key
            arguments[f"{prefix}trusted-ca-file"] = self._authority.pair.certificate
            arguments[f"{prefix}client-cert-auth"] = "true"
        return _flags(arguments)

    def _api_arguments(self, ports: Mapping[str, int], server: Pair, tokens: Pair) -> list[str]:
        authority = self._authority.pair.certificate
        audit = {"audit-policy-file": AUDIT_POLICY, "audit-log-path": self.audit_log} if self._audit else {}
        return _flags(
            audit
            | {
                "etcd-servers": f"https://127.0.0.1:{ports['etcd']}",
                "etcd-cafile": authority,
                "etcd-certfile": server.certificate,
                "etcd-keyfile": server.key,
                "bind-address": "127.0.0.1",
                "secure-port": ports["api"],
                "tls-cert-file": server.certificate,
                "tls-private-key-file": server.key,
                "client-ca-file": authority,
                "authorization-mode": "RBAC",
                "service-account-issuer": "https://kubernetes.default.svc",
                "service-account-key-file": tokens.certificate,
                "service-account-signing-key-file": tokens.key,
                "service-cluster-ip-range": SERVICE_RANGE,
                # Endpoints of the service `kubernetes` may not be loopback addresses, and nothing here uses them.
                "endpoint-reconciler-type": "none",
                "allow-privileged": "true",
                # A node whose kubelet is served on this machine says so by an external address.
                "kubelet-preferred-address-types": "ExternalIP,InternalIP,Hostname",
                "profiling": "false",
            }
        )

    def _manager_arguments(self, tokens: Pair) -> list[str]:
        return _flags(
            {
                "kubeconfig": self.kubeconfig,
                "service-account-private-key-file": tokens.key,
                "root-ca-file": self._authority.pair.certificate,
                "service-cluster-ip-range": SERVICE_RANGE,
                "leader-elect": "false",
                "secure-port": 0,
                # Nodes renew no Lease here (see kwok/stages.yaml), and write their status every five minutes only.
                "node-monitor-grace-period": "15m",
                "kube-api-qps": 200,
                "kube-api-burst": 400,
            }
        )

    def _scheduler_arguments(self) -> list[str]:
        return _flags(
            {
                "kubeconfig": self.kubeconfig,
                "leader-elect": "false",
                "secure-port": 0,
                "kube-api-qps": 200,
                "kube-api-burst": 400,
            }
        )

    def _ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, SandboxError):
            return False

    def _end_all(self) -> bool:
        # An API server waits for every open watch, and for an etcd that is gone. What it stores does not outlive it.
        return stop_each(partial(self._processes.stop, name, timeout=_FAREWELL) for name in PARTS)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time over all processes; the kernel frees the lock of a process that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SandboxError(f"no {count} free ports on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


def _flags(arguments: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in arguments.items()]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return body.decode(errors="replace")
