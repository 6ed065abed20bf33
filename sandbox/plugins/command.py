"""Stand-in for `pulumi-resource-command`: local commands through a shell, remote ones through the `ssh` executable.

    python -m sandbox.plugins.command [engine address]

As the real one: a failing command is an error that shows its output, changed triggers replace, update and delete get
the previous output in PULUMI_COMMAND_STDOUT and _STDERR. Not known here: assets, file copies, passwords, proxies.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from sandbox.plugins.host import Context, Inputs, Kind, Plugin, PluginError, Props, serve

COMMON: Inputs = {
    "create": str,
    "update": str,
    "delete": str,
    "environment": {"*": str},
    "stdin": str,
    "triggers": [object],
    "logging": str,
    "addPreviousOutputInEnv": bool,
}


class _Command(Kind):
    """What local and remote commands share."""

    force_new = ("triggers",)
    computed = ("stdout", "stderr")

    def recomputed(self, changed: set[str]) -> tuple[str, ...]:
        return ("stdout", "stderr") if changed else ()

    def run(self, line: str, props: Props, environment: Mapping[str, str]) -> Props:
        raise NotImplementedError

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        outputs = {**props, "stdout": "", "stderr": ""}
        if props.get("create"):
            outputs.update(self.run(props["create"], props, {}))
        return f"{context.urn.rpartition('::')[2]}-{os.urandom(4).hex()}", outputs

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        return state

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:  # noqa: ARG002
        line = news.get("update") or news.get("create")
        outputs = {**news, "stdout": olds.get("stdout", ""), "stderr": olds.get("stderr", "")}
        if line:
            outputs.update(self.run(line, news, _previous(olds, news)))
        return outputs

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        if state.get("delete"):
            self.run(state["delete"], state, _previous(state, state))


class LocalCommand(_Command):
    """command:local:Command."""

    inputs: ClassVar[Inputs] = {**COMMON, "dir": str, "interpreter": [str]}

    def run(self, line: str, props: Props, environment: Mapping[str, str]) -> Props:
        command = [*(props.get("interpreter") or ["/bin/sh", "-c"]), line]
        given = {**os.environ, **(props.get("environment") or {}), **environment}
        return _run(command, line, props, env=given, cwd=props.get("dir"))


class RemoteCommand(_Command):
    """command:remote:Command."""

    inputs: ClassVar[Inputs] = {
        **COMMON,
        "connection": {
            "host": str,
            "port": int,
            "user": str,
            "privateKey": str,
            "agentSocketPath": str,
            "hostKey": str,
            "dialErrorLimit": int,
            "perDialTimeout": int,
        },
    }
    required = ("connection",)

    def run(self, line: str, props: Props, environment: Mapping[str, str]) -> Props:
        connection = props["connection"]
        given = {**(props.get("environment") or {}), **environment}
        exports = "".join(f"export {name}={_quoted(value)}; " for name, value in given.items())
        with _ssh(connection) as command:
            env = dict(os.environ)
            if connection.get("agentSocketPath"):
                env["SSH_AUTH_SOCK"] = connection["agentSocketPath"]
            return _run([*command, exports + line], line, props, env=env, cwd=None)


@contextmanager
def _ssh(connection: Props) -> Iterator[list[str]]:
    """The ssh command for a connection; its keys are in files that only we can read, for as long as it runs."""
    timeout = connection.get("perDialTimeout", 15)
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}", "-p", str(connection.get("port", 22))]
    with tempfile.TemporaryDirectory(prefix="nodepools-ssh-") as folder:
        if connection.get("hostKey"):
            hosts = Path(folder, "known_hosts")
            hosts.write_text(f"{connection['host']} {connection['hostKey']}\n")
            options += ["-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes"]
        else:  # as the real provider: without a host key it trusts any
            options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        if connection.get("privateKey"):
            key = Path(folder, "key")
            key.touch(mode=0o600)
            key.write_text(connection["privateKey"].rstrip("\n") + "\n")
            options += ["-i", str(key), "-o", "IdentitiesOnly=yes"]
        yield ["ssh", *options, f"{connection.get('user', 'root')}@{connection['host']}", "--"]


def _run(command: list[str], line: str, props: Props, *, env: Mapping[str, str], cwd: str | None) -> Props:
    try:
        done = subprocess.run(
            command, input=props.get("stdin", ""), env=dict(env), cwd=cwd, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise PluginError(f"running {line!r}: {command[0]} could not be started: {error}") from None
    if done.returncode:
        raise PluginError(f'exit status {done.returncode}: running "{line}":\n{done.stdout}{done.stderr}')
    return {"stdout": done.stdout.removesuffix("\n"), "stderr": done.stderr.removesuffix("\n")}


def _previous(olds: Props, news: Props) -> dict[str, str]:
    if news.get("addPreviousOutputInEnv") is False:
        return {}
    return {"PULUMI_COMMAND_STDOUT": olds.get("stdout", ""), "PULUMI_COMMAND_STDERR": olds.get("stderr", "")}


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


class Command(Plugin):
    """The package command."""

    package = "command"

    def kind(self, token: str) -> Kind:
        kinds: dict[str, type[Kind]] = {
            "command:local:Command": LocalCommand,
            "command:remote:Command": RemoteCommand,
        }
        if token not in kinds:
            raise PluginError(f"the sandbox's command plugin does not know {token}; it knows {', '.join(kinds)}")
        return kinds[token]()

    def functions(self) -> Mapping[str, Callable[[Props], Props]]:
        return {"command:local:run": self._run}

    def _run(self, arguments: Props) -> Props:
        return {**arguments, **LocalCommand().run(arguments["command"], arguments, {})}


if __name__ == "__main__":
    serve(Command(), version("pulumi-command"))
