"""What would hold or hurt the coming drain, told where a roll is planned: previews warn, updates refuse.

Only before new instances are made: a roll that has begun, or goes back, must be able to go on.
"""

import pulumi

from pulumi_nodepools.cluster.preflight import refuse
from pulumi_nodepools.drain.preflight import told
from pulumi_nodepools.survey import Survey

_NAMED = 20


def tell(pool: str, found: Survey) -> None:
    """Warn of what was found; DrainBlockedError in an update that would pay for instances in vain."""
    worth = [one for one in found.findings if one.severity != "info"]
    if worth:
        count = f"{len(worth)} findings about the drain of its other versions"
        pulumi.warn(f"pool {pool}: {count}:\n{told(worth, _NAMED)}")
    if found.creates and not pulumi.runtime.is_dry_run():
        refuse(found.findings, f"pool {pool}: no new instance was made")
