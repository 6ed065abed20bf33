"""The whole sandbox in one folder: control plane, simulated AWS, its instances, and a Pulumi home with plugins.

Everything is chosen by environment variables (`Sandbox.env`), so that project and stack files are the ones a user
would have. A sandbox begins empty at each start: its AWS lives in memory, so old Pulumi state would describe nothing.
What the parts do is theirs: `control_plane`, `aws_server`, `fleet`, `plugins`.
"""

import json
import os
import shlex
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType

from sandbox.aws import JOIN_TOKEN
from sandbox.binaries import Tools, locate
from sandbox.control_plane import ControlPlane, free_ports, locked
from sandbox.processes import Processes, SandboxError, stop_each
from sandbox.signals import undisturbed

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT_VARIABLE = "NODEPOOLS_SANDBOX_ROOT"
# The real aws plugin works against the simulated AWS only as far as that imitates what the plugin asks for.
REAL_AWS_VARIABLE = "NODEPOOLS_SANDBOX_REAL_AWS"
REGION = "us-west-2"
PLUGINS = ("aws", "kubernetes", "command")
PATIENCE = 60.0
# Settings of the user's own clouds and stacks: none may reach a sandbox.
FOREIGN = ("PULUMI_", "AWS_", "KUBECONFIG", "KUBERNETES_")
EMPTIED = ("control-plane", "aws", "fleet", "pulumi")


@dataclass(frozen=True)
class Part:
    """One process of the sandbox, as tests handle it."""

    name: str
    processes: Processes

    @property
    def pid(self) -> int | None:
        return self.processes.pid(self.name)

    @property
    def log(self) -> Path:
        return self.processes.log(self.name)

    def stop(self) -> bool:
        return self.processes.stop(self.name)


class Sandbox:
    """`with Sandbox(root) as sandbox:` begins empty and leaves no process behind."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        python: Path | None = None,
        find_tools: Callable[[], Tools] = locate,
        audit: bool = False,
    ) -> None:
        self.root = (root or Path(os.environ.get(ROOT_VARIABLE) or REPOSITORY / ".sandbox")).absolute()
        # Not resolved: the link in a virtual environment is what makes it one.
        self.python = python or Path(sys.executable)
        self._find_tools = find_tools
        self._audit = audit
        self._found: Tools | None = None
        self._audit = audit
        self.processes = Processes(self.root)
        self.aws = Part("aws", self.processes)
        self.fleet = Part("fleet", self.processes)

    @property
    def tools(self) -> Tools:
        if self._found is None:
            self._found = self._find_tools()
        return self._found

    @property
    def control_plane(self) -> ControlPlane:
        return ControlPlane(self.root, self.tools.paths, audit=self._audit)

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def aws_endpoint(self) -> str:
        try:
            return str(json.loads((self.root / "aws" / "endpoint.json").read_text())["endpoint"])
        except FileNotFoundError as missing:
            raise SandboxError(f"no sandbox was started in {self.root}; start one with `make sandbox-up`") from missing

    @property
    def exports(self) -> dict[str, str]:
        """What has to be set for pulumi, kubectl and aws to meet this sandbox; PATH holds only what comes in front."""
        return {
            "PATH": os.pathsep.join(map(str, self.tools.path_entries)),
            "PULUMI_HOME": str(self.root / "pulumi" / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.root / 'pulumi' / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "sandbox",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Profiles of the user must not be picked up where a program asks for the default one.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "KUBECONFIG": str(self.kubeconfig),
            "NO_PROXY": _without_proxy(os.environ),
            "no_proxy": _without_proxy(os.environ),
        }

    @property
    def env(self) -> dict[str, str]:
        """A whole environment for a child process, the user's own cloud settings taken out."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        exports = self.exports
        return {**kept, **exports, "PATH": os.pathsep.join([exports["PATH"], os.environ.get("PATH", os.defpath)])}

    def status(self) -> dict[str, bool]:
        parts = self.control_plane.status()
        return {**parts, "aws": self.aws.pid is not None, "fleet": self.fleet.pid is not None}

    def running(self) -> bool:
        return all(self.status().values())

    def start(self) -> bool:
        """False when it was running already. A sandbox that lost a part begins anew, empty."""
        with locked(self.root / "lock"):
            if self.running():
                return False
            self._end()
            for name in EMPTIED:
                shutil.rmtree(self.root / name, ignore_errors=True)
            try:
                self._lay_down_plugins()
                self.control_plane.start()
                self._store_join_token()
                self._start_aws()
                self._start_fleet()
            except BaseException:
                with undisturbed():
                    self._end()
                raise
            return True

    def stop(self) -> bool:
        """End every process; True if any ran. Logs and state stay for a look until the next start."""
        with locked(self.root / "lock"):
            return self._end()

    def __enter__(self) -> "Sandbox":
        self.stop()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with undisturbed():
            self.stop()

    def _end(self) -> bool:
        # The fleet first: it would take vanishing instances for terminated ones and delete their Nodes.
        return stop_each((self.fleet.stop, self.aws.stop, ControlPlane(self.root, {}).stop))

    def _store_join_token(self) -> None:
        """As `kubeadm init` does: the token that the simulated AWS keeps as a parameter, without an end."""
        token_id, _, secret = JOIN_TOKEN.partition(".")
        body = {
            "metadata": {"name": f"bootstrap-token-{token_id}"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {"token-id": token_id, "token-secret": secret, "usage-bootstrap-authentication": "true"},
        }
        status, answer = self.control_plane.request("POST", "/api/v1/namespaces/kube-system/secrets", body)
        if status != 201:
            raise SandboxError(f"the API server did not take the join token: {status} {answer}")

    def _start_aws(self) -> None:
        folder = self.root / "aws"
        folder.mkdir(parents=True)
        endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
        (folder / "endpoint.json").write_text(json.dumps({"endpoint": endpoint}))
        self._start_module(
            "aws", "sandbox.aws_server", "--port", endpoint.rpartition(":")[2], "--state-dir", str(folder)
        )
        self.processes.wait("aws", lambda: _answers(f"{endpoint}/moto-api/"), timeout=PATIENCE, what="an answer")

    def _start_fleet(self) -> None:
        folder = self.root / "fleet"
        folder.mkdir(parents=True)
        arguments = ["--kubeconfig", str(self.kubeconfig), "--endpoint", self.aws_endpoint, "--state-dir", str(folder)]
        self._start_module("fleet", "sandbox.fleet", *arguments)
        status = folder / "instances.json"
        self.processes.wait("fleet", status.exists, timeout=PATIENCE, what="its first look at the instances")

    def _start_module(self, name: str, module: str, *arguments: str) -> None:
        self.processes.start(name, [self.python, "-m", module, *arguments], env=self.env, cwd=REPOSITORY)

    def _lay_down_plugins(self) -> None:
        """Stand-ins go where the engine looks for installed plugins of exactly the installed SDK's version."""
        (self.root / "pulumi" / "state").mkdir(parents=True)
        folder = self.root / "pulumi" / "home" / "plugins"
        folder.mkdir(parents=True)
        for name in PLUGINS:
            versioned = f"resource-{name}-v{metadata.version(f'pulumi-{name}')}"
            real = Path.home() / ".pulumi" / "plugins" / versioned
            if real.is_dir() and (name != "aws" or os.environ.get(REAL_AWS_VARIABLE)):
                (folder / versioned).symlink_to(real)
                continue
            (folder / versioned).mkdir()
            script = folder / versioned / f"pulumi-resource-{name}"
            script.write_text(_stand_in(name, self.python))
            script.chmod(0o755)


def _stand_in(name: str, python: Path) -> str:
    return (
        "#!/bin/sh\n"
        f'PYTHONPATH={shlex.quote(str(REPOSITORY))}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        "export PYTHONPATH\n"
        f'exec {shlex.quote(str(python))} -m sandbox.plugins.{name} "$@"\n'
    )


def _without_proxy(environ: Mapping[str, str]) -> str:
    given = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return ",".join(dict.fromkeys([*filter(None, given.split(",")), "127.0.0.1", "localhost"]))


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
