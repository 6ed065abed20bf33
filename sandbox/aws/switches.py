"""Faults that a test or a demo switches on in the simulated AWS, read from one JSON file on every use.

Keys of `aws-switches.json`:
- `availableIpAddressCount`: {subnet id: number} shown by DescribeSubnets; 0 also makes launches in that subnet fail.
- `zoneWithoutCapacity`: [zone] whose launches fail with InsufficientInstanceCapacity.
- `denyActions`: ["service:Action"] answered as AWS answers a missing right; `service:*` denies a whole service.
- `expiredToken`: true makes every call fail as with an expired session.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "aws-switches.json"
KEYS = {"availableIpAddressCount", "zoneWithoutCapacity", "denyActions", "expiredToken"}


def write_switches(state_dir: Path, switches: Mapping[str, Any]) -> None:
    """Replace all switches at once; the server sees either the old file or the new one, never half of it."""
    unknown = set(switches) - KEYS
    if unknown:
        raise ValueError(f"unknown AWS switches {sorted(unknown)}; known: {sorted(KEYS)}")
    state_dir.mkdir(parents=True, exist_ok=True)
    part = state_dir / f"{FILE}.{os.getpid()}"
    part.write_text(json.dumps(dict(switches)))
    part.replace(state_dir / FILE)


class Switches:
    """The file as the server sees it: absent means nothing is switched, unreadable means what was read last."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._last: dict[str, Any] = {}

    def _read(self) -> dict[str, Any]:
        try:
            loaded = json.loads(self._path.read_text())
        except FileNotFoundError:
            loaded = {}
        except ValueError:  # written by hand and caught in the middle
            return self._last
        self._last = loaded if isinstance(loaded, dict) else {}
        return self._last

    @property
    def expired_token(self) -> bool:
        return bool(self._read().get("expiredToken"))

    def denied(self, action: str) -> bool:
        """`action` as IAM writes it, `service:Action`."""
        names = {name.lower() for name in self._read().get("denyActions", [])}
        return action.lower() in names or f"{action.partition(':')[0]}:*".lower() in names

    def free_addresses(self, subnet_id: str) -> int | None:
        value = self._read().get("availableIpAddressCount", {}).get(subnet_id)
        return None if value is None else int(value)

    def refusal(self, zone: str, subnet_id: str, instance_type: str) -> str | None:
        """Why EC2 would refuse a launch there now, in EC2's words; None when it would not."""
        switches = self._read()
        if zone in switches.get("zoneWithoutCapacity", []):
            return (
                f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
                f"({zone}). Our system will be working on provisioning additional capacity. "
                "Launching EC2 instance failed. (InsufficientInstanceCapacity)"
            )
        if switches.get("availableIpAddressCount", {}).get(subnet_id) == 0:
            return (
                f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of "
                "instances. Launching EC2 instance failed. (InsufficientFreeAddressesInSubnet)"
            )
        return None
