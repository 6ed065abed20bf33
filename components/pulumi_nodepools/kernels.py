"""What a kernel says of itself: its release and its command line. Pure, the standard library only.

Also shipped into the cluster, beside the programs of `in_cluster`.
"""

import re


def at_least(release: str, floor: str) -> bool:
    """Compare kernel releases number by number: 3.10.0-1062.4.1.el7.x86_64 is at least 3.10.0-1062.4.1."""
    have, need = _numbers(release), _numbers(floor)
    return have + [0] * (len(need) - len(have)) >= need


def booted_with(command_line: str, argument: str) -> bool:
    """Whether the kernel was given this very word. What stands after `--` is for init."""
    return argument in command_line.partition(" -- ")[0].split()


def _numbers(release: str) -> list[int]:
    # Letters end the comparable part: what follows names the distribution and the architecture.
    head = re.match(r"[\d.\-_+]*", release)
    return [int(part) for part in re.findall(r"\d+", head.group() if head else "")]
