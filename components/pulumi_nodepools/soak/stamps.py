"""The prefix of a log line: when it was written and whether the kernel wrote it. Everything behind it is the message.

Times without a zone are read as UTC, which nodes are set to as a rule. Stamps without a year are read as the one
nearest to `near`, the moment of collection.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ISO = r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)"
_DATE = r"(?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) (?P<clock>\d\d:\d\d:\d\d)"
_SHORT = rf"{_DATE}(?:\.\d+)?"
_TAG = r"(?P<host>[\w.:-]+) (?P<tag>[\w./@-]+)(?:\[\d+\])?: ?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"{_SHORT} {_TAG}",  # rsyslog, journalctl
        rf"{_ISO} {_TAG}",  # rsyslog with ISO stamps, journalctl -o short-iso
        rf"\[[A-Z][a-z]{{2}} {_DATE} (?P<year>\d{{4}})\] ?",  # dmesg -T
        rf"{_ISO} ",  # kubectl logs --timestamps, dmesg --time-format iso
        r"[IWEF](?P<klog>\d{4}) (?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)? +\d+ [\w.-]+:\d+\] ?",  # klog
    )
)
_LOGFMT = re.compile(rf'\b(?:time|ts|t)="?{_ISO}"?')
_PRIORITY = re.compile(r"<\d{1,3}>")
_DECODED = re.compile(r"(?P<facility>kern|user|daemon|syslog|auth) *:[a-z]+ *: ?")
_RECORD = re.compile(r"(?P<priority>\d{1,3}),\d+,\d+,[^;]*; ?")
_UPTIME = re.compile(r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?")


@dataclass(frozen=True)
class Prefixed:
    """A line without its prefix. `host` is what the line itself names, if anything."""

    message: str
    at: float | None = None
    kernel: bool = False
    host: str = ""


def read(text: str, near: float) -> Prefixed:
    """Take the known prefixes off, outermost first."""
    text, kernel = _kernel_marks(text)
    at: float | None = None
    host = ""
    for form in _FORMS:
        if match := form.match(text):
            found = match.groupdict()
            at, host = moment(found, near), found.get("host") or ""
            kernel = kernel or found.get("tag") == "kernel" or form is _FORMS[2]
            text = text[match.end() :]
            break
    if match := _UPTIME.match(text):
        # A program's own line may begin like this too, but only the kernel's has nothing in front or its tag.
        kernel = kernel or not host
        text = text[match.end() :]
    if at is None and (match := _LOGFMT.search(text[:200])):
        at = moment(match.groupdict(), near)
    return Prefixed(text, at, kernel, host)


def _kernel_marks(text: str) -> tuple[str, bool]:
    """Without what dmesg -x, dmesg -r and /dev/kmsg put in front, and whether that names the kernel."""
    kernel = False
    if match := _RECORD.match(text):
        return text[match.end() :], int(match["priority"]) < 8
    if match := _PRIORITY.match(text):
        kernel = int(match[0][1:-1]) < 8
        text = text[match.end() :]
    if match := _DECODED.match(text):
        return text[match.end() :], match["facility"] == "kern"
    return text, kernel


def moment(found: dict[str, str | None], near: float) -> float | None:
    """Seconds since the epoch of a matched stamp; None if there is no such day."""
    try:
        if iso := found.get("iso"):
            return iso_seconds(iso)
        clock = [int(part) for part in str(found["clock"]).split(":")]
        if klog := found.get("klog"):
            month, day = int(klog[:2]), int(klog[2:])
        else:
            month, day = _MONTHS.index(str(found["month"])) + 1, int(str(found["day"]))
        year = found.get("year")
        return _at(int(year), month, day, clock) if year else _nearest(month, day, clock, near)
    except (ValueError, OverflowError):
        return None


def iso_seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time, with any number of decimals; ValueError if it is none."""
    whole, _, rest = text.replace(",", ".").replace(" ", "T", 1).replace(" ", "").partition(".")
    digits = re.match(r"\d*", rest)
    fraction = digits[0] if digits else ""
    zone = rest[len(fraction) :]
    parsed = datetime.fromisoformat(whole + zone)
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return aware.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def iso_text(seconds: float) -> str:
    """The same back, in UTC to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _at(year: int, month: int, day: int, clock: Sequence[int]) -> float:
    hour, minute, second = clock
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _nearest(month: int, day: int, clock: Sequence[int], near: float) -> float:
    this = datetime.fromtimestamp(near, UTC).year
    found = []
    for year in (this - 1, this, this + 1):
        try:
            found.append(_at(year, month, day, clock))
        except ValueError:  # 29 February
            continue
    return min(found, key=lambda at: abs(at - near))
