"""Hooks of one plugin connect at the same time; the official loader writes certificate files that they share."""

import base64
import builtins
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from kubernetes.config import kube_config

from pulumi_nodepools.cluster.access import Access, load


def _kubeconfig(path: Path) -> Access:
    data = base64.b64encode(f"certificate of {path}".encode()).decode()
    user = {"client-certificate-data": data, "client-key-data": data}
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": data}}],
        "users": [{"name": "c", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return Access(kind="kubeconfig", path=str(path))


def test_nobody_is_handed_a_certificate_file_before_it_is_written(tmp_path, monkeypatch) -> None:
    access = _kubeconfig(tmp_path / "kubeconfig")
    writing, other_is_done = threading.Event(), threading.Event()

    def slow_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode == "wb" and not writing.is_set():
            writing.set()
            other_is_done.wait(0.5)
        return builtins.open(file, mode, *args, **kwargs)  # noqa: PTH123  the loader itself calls open

    def second() -> str:
        assert writing.wait(10)
        text = Path(load(access, timeout=1).configuration.ssl_ca_cert).read_text()
        other_is_done.set()
        return text

    monkeypatch.setattr(kube_config, "open", slow_open, raising=False)
    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(second)
        load(access, timeout=1)
        assert read.result() == f"certificate of {tmp_path / 'kubeconfig'}"
