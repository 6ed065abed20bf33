"""A roll that evicts although it has not seen for too long is found out."""

import pytest

from tests.chaos.servers import Asked
from tests.chaos.watches import NEEDED, Watches

EVICTION = Asked("kubernetes", "POST", "/api/v1/namespaces/shop/pods/web-1/eviction", {}, b"")
WATCH = Asked("kubernetes", "GET", "/api/v1/pods?watch=true", {}, b"")


class Case:
    """Watches whose clock a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watches = Watches(lambda: self.now)
        self.cut: list[str] = []
        self.cuts = {path: lambda path=path: self.cut.append(path) for path in NEEDED}

    def open(self, path: str) -> None:
        self.watches.opened(path, self.cuts[path])

    def close(self, path: str) -> None:
        self.watches.closed(path, self.cuts[path])

    def evicts_at(self, now: float) -> int:
        self.now = now
        self.watches.refuse(EVICTION, 0.0)
        return len(self.watches.blindly)


@pytest.mark.parametrize("kind", NEEDED)
def test_an_eviction_long_after_the_last_watch_of_a_kind_ended_is_found(kind: str) -> None:
    case = Case()
    for path in NEEDED:
        case.open(path)
    assert case.evicts_at(100.0) == 0
    case.close(kind)
    assert case.evicts_at(107.0) == 0, "a drain hears of it and pauses 5 s later"
    assert case.evicts_at(109.0) == 1
    assert kind in case.watches.blindly[0]
    case.open(kind)
    assert case.evicts_at(110.0) == 1


def test_a_list_is_sight_as_well() -> None:
    case = Case()
    case.open(NEEDED[0])
    case.close(NEEDED[0])
    case.now = 100.0
    case.watches.listed(NEEDED[0])
    assert case.evicts_at(107.0) == 0
    assert case.evicts_at(109.0) == 1


def test_one_of_two_watches_is_enough() -> None:
    case = Case()
    case.open(NEEDED[0])
    case.open(NEEDED[0])
    case.close(NEEDED[0])
    assert case.evicts_at(100.0) == 0


def test_blindness_cuts_what_is_open_and_refuses_watches_for_its_time() -> None:
    case = Case()
    for path in NEEDED:
        case.open(path)
    assert not case.watches.refuse(WATCH, 0.0)
    assert not case.watches.refuse(EVICTION, 9.0), "the eviction that it begins with passes"
    assert sorted(case.cut) == sorted(NEEDED)
    assert case.watches.refuse(WATCH, 0.0)
    case.now = 9.0
    assert not case.watches.refuse(WATCH, 0.0)
