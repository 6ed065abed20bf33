"""The one line that tells how a drain goes on."""

from pulumi_nodepools.drain.model import Diagnosis, Progress
from pulumi_nodepools.drain.pace import status_line


def test_what_does_not_move_comes_first():
    blocked = [Diagnosis("budget", "shop/web", "n", "needs 2", "wait")]
    line = status_line(Progress("batch", 0, 2, 9, blocked, ""))
    assert line == "1 blocked: shop/web budget; 0/2 nodes, 9 pods left; batch"


def test_it_says_how_long_it_takes_yet():
    line = status_line(Progress("batch", 6, 14, 24, [], "", working=90.0))
    assert line == "6/14 nodes, 24 pods left, about 2 min left (6 nodes took 1 min 30 s); batch"
