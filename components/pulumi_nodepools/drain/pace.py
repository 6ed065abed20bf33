"""How much longer a drain may take, judged by what it took so far. Pure."""

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
