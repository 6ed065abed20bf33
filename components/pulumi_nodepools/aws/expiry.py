"""Whether credentials last as long as a drain may take. Pure."""

from datetime import datetime, timedelta


def warning(ends: datetime | None, longest: float, now: datetime) -> str:
    """What to say of credentials that end before a drain of `longest` seconds would; empty if they last.

    `ends` is None for credentials that renew themselves, or do not tell.
    """
    if ends is None or now + timedelta(seconds=longest) <= ends:
        return ""
    left = max(ends - now, timedelta())
    return (
        f"the AWS credentials end at {ends.isoformat(timespec='minutes')}, in {left.total_seconds() / 60:.0f} min, but "
        f"a drain may take {longest / 60:.0f} min (drain.totalTimeout): it would begin no new eviction then, and stop; "
        "the next `pulumi up` goes on from there. Use credentials that last longer, or that renew themselves"
    )
