"""Follows the simulated AWS: boots what is launched, registers what joined, removes what is gone, keeps account."""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from sandbox.fleet.cloud import FAILURES, Cloud, Instance
from sandbox.fleet.machine import Image, Machine, Record
from sandbox.fleet.metadata import MetadataServer
from sandbox.fleet.nodes import UNREACHABLE, Nodes, make_node, provider_id
from sandbox.fleet.userdata import UserDataError, parse

T = TypeVar("T")
LOG = logging.getLogger("fleet")
POLL_SECONDS = 0.3
BOOTS_AT_ONCE = 4
FAULTS = {"", "argument-not-applied", "abandon", "slow", "dead"}
STATUS = "instances.json"
SWITCHES = "switches.json"


class Fleet:
    """All instances of all groups. `run` blocks until `stop`."""

    def __init__(self, cloud: Cloud, nodes: Nodes, state_dir: Path, *, boot_seconds: float = 0.5) -> None:
        self._cloud, self._nodes, self._boot_seconds = cloud, nodes, boot_seconds
        self._dir = state_dir.resolve()
        self._stop = threading.Event()
        self._machines: dict[str, Machine] = {}
        self._boots: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._records = _load(self._dir / STATUS)
        self._last_problem = ""

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Look, act, and look again; ends within a moment of `stop`, its scripts with it."""
        metadata = MetadataServer(self._machines.get)
        pool = ThreadPoolExecutor(BOOTS_AT_ONCE, thread_name_prefix="boot")
        try:
            self._write()
            while not self._stop.is_set():
                try:
                    self._look(metadata, pool)
                    self._last_problem = ""
                except (*FAILURES, *UNREACHABLE) as error:
                    self._tell_once(f"{type(error).__name__}: {error}")
                self._stop.wait(POLL_SECONDS)
        finally:
            for machine in list(self._machines.values()):
                machine.stop()
            pool.shutdown(cancel_futures=True)
            metadata.close()
            self._write()

    def _look(self, metadata: MetadataServer, pool: ThreadPoolExecutor) -> None:
        there = self._cloud.instances()
        for instance in there.values():
            if instance.id not in self._boots and not self._is_settled(instance.id):
                self._boots[instance.id] = pool.submit(self._boot, self._machine(instance), metadata)
        for instance_id, record in list(self._records.items()):
            if instance_id not in there:
                self._bury(instance_id, record)
        self._kill_the_dead()

    def _is_settled(self, instance_id: str) -> bool:
        """Booted before the fleet was last stopped."""
        record = self._records.get(instance_id)
        return record is not None and (record.registered or record.state in {"refused", "failed"})

    def _machine(self, instance: Instance) -> Machine:
        record = Record(instance.image, instance.group, instance.zone, instance.dns, provider_id(instance))
        machine = Machine(instance, record, self._dir / "roots" / instance.id, self._cloud, self._write)
        with self._lock:
            self._records[instance.id] = record
        self._machines[instance.id] = machine
        return machine

    def _boot(self, machine: Machine, metadata: MetadataServer) -> None:
        """A boot in a thread of the pool; nothing may escape, a future's exception is seen by nobody."""
        instance = machine.instance
        try:
            told = self._retry(machine, lambda: (self._image(instance.image), self._cloud.user_data(instance.id)))
            if told is None:
                return
            image, encoded = told
            seconds, urls = self._boot_seconds, metadata.urls(instance.id)
            if machine.boot(image, parse(encoded), seconds=seconds, urls=urls):
                self._register(machine)
        except UserDataError as error:
            machine.record.state, machine.record.reason = "failed", str(error)
        except Exception as error:
            LOG.exception("the boot of %s failed", instance.id)
            machine.record.state, machine.record.reason = "failed", f"{type(error).__name__}: {error}"
        self._write()

    def _register(self, machine: Machine) -> None:
        node = make_node(
            machine.instance,
            kernel=machine.record.kernel,
            kubelet_arguments=machine.kubelet_arguments,
            region=self._cloud.region,
        )
        self._retry(machine, lambda: self._nodes.register(node))
        machine.record.registered = not machine.stopped.is_set()

    def _retry(self, machine: Machine, call: Callable[[], T]) -> T | None:
        """Until it works or the instance ends (None): a kubelet too waits for its API server."""
        while not machine.stopped.is_set():
            try:
                return call()
            except (*FAILURES, *UNREACHABLE) as error:
                self._tell_once(f"{machine.instance.id}: {type(error).__name__}: {error}")
                machine.stopped.wait(POLL_SECONDS)
        return None

    def _bury(self, instance_id: str, record: Record) -> None:
        """End the machine, then delete its Node: the cloud controller's part in a real cluster."""
        machine, boot = self._machines.get(instance_id), self._boots.get(instance_id)
        if machine is not None:
            machine.stop()
        if record.removed or (boot is not None and not boot.cancel() and not boot.done()):
            return
        if record.joined:
            self._nodes.remove(record.node, record.providerId)
        record.removed, record.state = True, "terminated"
        self._machines.pop(instance_id, None)
        self._write()

    def _kill_the_dead(self) -> None:
        for record in list(self._records.values()):
            doomed = record.registered and not record.dead and not record.removed
            if doomed and self._switches().get(record.image, {}).get("fault") == "dead":
                self._nodes.kill(record.node)
                record.dead = True
                self._write()

    def _image(self, image: str) -> Image:
        switches = self._switches().get(image, {})
        return Image(switches.get("kernel") or self._cloud.kernel(image), switches.get("fault") or "")

    def _switches(self) -> Mapping[str, Mapping[str, str]]:
        try:
            read: Any = json.loads((self._dir / SWITCHES).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:  # caught while somebody writes it
            self._tell_once(f"{SWITCHES} is not JSON, no switch is in force")
            return {}
        for image, switches in read.items():
            if switches.get("fault", "") not in FAULTS:
                self._tell_once(f"{SWITCHES}: unknown fault {switches['fault']!r} of {image}; known: {sorted(FAULTS)}")
        return dict(read)

    def _tell_once(self, problem: str) -> None:
        if problem != self._last_problem:
            LOG.warning("%s; trying again", problem)
        self._last_problem = problem

    def _write(self) -> None:
        """Readers see the whole file of before or of after."""
        with self._lock:
            text = json.dumps({key: record.plain() for key, record in self._records.items()}, indent=1)
            part = self._dir / f".{STATUS}.{os.getpid()}"
            part.write_text(text)
            part.replace(self._dir / STATUS)


def _load(file: Path) -> dict[str, Record]:
    """What an earlier fleet of this folder left, so that running nodes are not booted again."""
    known = {one.name for one in fields(Record)}
    try:
        read = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {key: Record(**{name: value for name, value in one.items() if name in known}) for key, one in read.items()}
