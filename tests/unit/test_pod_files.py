"""What is mounted into the collector's pod works on a Python without any package."""

import subprocess
import sys

from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.pod_files import collector_files
from pulumi_nodepools.soak.custom import with_custom
from pulumi_nodepools.soak.evidence import Subject


def test_every_mounted_module_is_imported_without_any_package(tmp_path):
    files = collector_files()
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    names = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    command = [sys.executable, "-S", "-c", code, *names]
    env = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pulumi_nodepools.collector.__main__" in names
    assert sum(map(len, files.values())) < 200_000, "a ConfigMap takes 1 MiB"


def test_settings_are_read_back_as_they_were_written(tmp_path):
    own = [{"name": "own", "patterns": [{"id": "x", "kind": "kernel", "pattern": "^x", "weight": "definite"}]}]
    settings = Settings(Subject("worker", "v2.0", "ami-1", "sha256:1"), "a=b", "soaks", with_custom("sets", own), 5.0)
    path = tmp_path / "settings.json"
    path.write_text(settings.to_json())
    assert Settings.read(path) == settings
    assert settings.windows == {"kmem": 60.0, "own": 60.0}
