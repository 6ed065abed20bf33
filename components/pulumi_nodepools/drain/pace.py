"""How a drain goes on, in one line: how far it is, and how much longer it may take by what it took so far. Pure."""

from pulumi_nodepools.drain.model import Progress
from pulumi_nodepools.units import counted, duration


def time_left(progress: Progress) -> str:
    """`about 2 min left (6 nodes took 1 min 30 s)`; empty while nothing can be told of it.

    That is before the first node is done, while something does not move, and once all are done.
    """
    done, left = progress.nodes_done, progress.nodes_total - progress.nodes_done
    if not done or not left or not progress.working or progress.blocked:
        return ""
    took, nodes = progress.working, counted(done, "node")
    return f"about {duration(round(took / done * left))} left ({nodes} took {duration(round(took))})"


def status_line(progress: Progress) -> str:
    """One line, the first words for a narrow terminal: what does not move, nodes, pods, how long yet, the phase."""
    blocked, left = progress.blocked, time_left(progress)
    parts = [f"{len(blocked)} blocked: {blocked[0].object} {blocked[0].reason}; "] if blocked else []
    parts.append(f"{progress.nodes_done}/{progress.nodes_total} nodes, {progress.pods_left} pods left")
    return "".join([*parts, f", {left}" if left else "", f"; {progress.phase}"])
