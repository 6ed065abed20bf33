"""Brings a version to every cluster of the fleet, wave by wave, and stops after the first wave with a failure.

    python roll.py 7.7.1908 ami-0bbbbbbbbbbb77190 staging eu-1,eu-2 us-1,us-2

Clusters of one wave are patched at once. What failed goes on with the same command: a cluster that has the version
already has nothing to do.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pulumi import automation


def patch(cluster: str, version: str, image: str) -> str:
    """`pulumi up` of one cluster's stack; the error's text, or nothing."""
    stack = automation.create_or_select_stack(cluster, work_dir=str(Path(__file__).parent))
    stack.set_config("version", automation.ConfigValue(version))
    stack.set_config("imageId", automation.ConfigValue(image))
    try:
        stack.up(on_output=lambda line: print(f"{cluster}: {line.rstrip()}", flush=True))
    except automation.CommandError as error:
        return str(error)
    return ""


def roll(version: str, image: str, waves: list[list[str]]) -> int:
    """How many clusters failed; 0 if all have the version now."""
    for number, wave in enumerate(waves, start=1):
        with ThreadPoolExecutor(len(wave)) as workers:
            outcomes = dict(zip(wave, workers.map(lambda cluster: patch(cluster, version, image), wave), strict=True))
        failed = [cluster for cluster in wave if outcomes[cluster]]
        print(f"wave {number} of {len(waves)}: {', '.join(wave)}: {len(failed)} failed", flush=True)
        if failed:
            untouched = [cluster for later in waves[number:] for cluster in later]
            print(f"stopped at {', '.join(failed)}; untouched: {', '.join(untouched) or 'none'}", flush=True)
            return len(failed)
    return 0


if __name__ == "__main__":
    version, image, *waves = sys.argv[1:]
    sys.exit(1 if roll(version, image, [wave.split(",") for wave in waves]) else 0)
