"""Flatcar's user data: an Ignition configuration, which sets kernel arguments and restarts once before anything runs.

Ignition does in the initial RAM disk what the boothook does elsewhere, and makes the files and units of the first boot.
What the join script says is render's business.
"""

import base64
import gzip
import json
from collections.abc import Sequence

VERSION = "3.3.0"
"""The first of Ignition's specifications that has kernelArguments; Flatcar reads it from 3185."""
JOIN_UNIT = "nodepools-join.service"
KUBELET_ENVIRONMENT = "/etc/default/kubelet"

_SCRIPT = "/opt/nodepools/join.sh"
_UNIT = f"""[Unit]
Description=Prove this node, and join the cluster
Wants=network-online.target
After=network-online.target containerd.service
# kubeadm writes it: a node that has joined does not join again.
ConditionPathExists=!/etc/kubernetes/kubelet.conf

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=PATH=/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={_SCRIPT}

[Install]
WantedBy=multi-user.target
"""
_ARGUMENTS = f"[Service]\nEnvironmentFile=-{KUBELET_ENVIRONMENT}\n"


def document(join_script: str, kernel_arguments: Sequence[str], gated_units: Sequence[str]) -> str:
    """The configuration as JSON."""
    gate = "[Unit]\n" + "".join(f"ConditionKernelCommandLine={argument}\n" for argument in kernel_arguments)
    dropins = [{"name": "05-nodepools-gate.conf", "contents": gate}] if kernel_arguments else []
    dropins.append({"name": "10-nodepools-arguments.conf", "contents": _ARGUMENTS})
    units = [{"name": unit, "dropins": dropins} for unit in gated_units]
    configuration = {
        "ignition": {"version": VERSION},
        "storage": {"files": [{"path": _SCRIPT, "mode": 0o755, "contents": _compressed(join_script)}]},
        "systemd": {"units": [*units, {"name": JOIN_UNIT, "enabled": True, "contents": _UNIT}]},
    }
    if kernel_arguments:
        configuration["kernelArguments"] = {"shouldExist": list(kernel_arguments)}
    return json.dumps(configuration, indent=2) + "\n"


def _compressed(text: str) -> dict[str, str]:
    """A file's contents: in base64 alone the script would be larger than user data may be."""
    data = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return {"source": f"data:;base64,{data}", "compression": "gzip"}
