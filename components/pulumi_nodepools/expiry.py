"""Whether the credentials for AWS and for the cluster last as long as a drain may take."""

from datetime import datetime, timedelta

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster import token_end
from pulumi_nodepools.cluster.access import Access


def warnings(session: Session | None, access: Access, longest: float, now: datetime) -> list[str]:
    """What to say of credentials that end before a drain of `longest` seconds would; empty if all last."""
    ends = {"the AWS credentials": session.ends()} if session else {}
    ends[f"the credentials of {access.describe()}"] = token_end.of(access)
    return [told for whose, end in ends.items() if (told := warning(whose, end, longest, now))]


def warning(whose: str, ends: datetime | None, longest: float, now: datetime) -> str:
    """The same of one pair of credentials; `ends` is None for those that renew themselves, or do not tell."""
    if ends is None or now + timedelta(seconds=longest) <= ends:
        return ""
    left = max(ends - now, timedelta())
    return (
        f"{whose} end at {ends.isoformat(timespec='minutes')}, in {left.total_seconds() / 60:.0f} min, but "
        f"a drain may take {longest / 60:.0f} min (drain.totalTimeout): it would begin no new eviction then, and stop; "
        "the next `pulumi up` goes on from there. Use credentials that last longer, or that renew themselves"
    )
