"""What owners of pods ask of a drain by annotations: an order, and to be left alone for a while."""

import pytest

from pulumi_nodepools.drain.classify import DO_NOT_DISRUPT
from pulumi_nodepools.drain.events import Gone
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import ORDER_ANNOTATION
from tests.unit.drain.drain_case import WALL, Case, make_pod, old_node


def ordered(name, order):
    return make_pod(name, owner=name, notes={ORDER_ANNOTATION: order})


def test_pods_of_a_node_leave_in_their_order():
    case = Case(old_node(), ordered("last", "5"), make_pod("middle", owner="middle"), ordered("first", "-5"))
    case.begin()
    order = []
    while case.sent:
        (name,) = case.sent
        order.append(name)
        assert "behind" in " ".join(one.message for one in case.state.blocked(case.now)) or name == "last"
        case.answer(name, 201)
        case.tell(Gone("pods", f"u-{name}"))
    assert order == ["first", "middle", "last"]


def test_an_opt_out_that_ends_in_time_is_waited_for():
    rests = make_pod("rests", notes={DO_NOT_DISRUPT: "1m"}, started_at=WALL - 30)
    case = Case(old_node(), rests, node_timeout=60)
    case.begin()
    assert case.sent == []
    (why,) = case.state.blocked(case.now)
    assert (why.reason, why.numbers["leftSeconds"]) == ("opted-out", 30)
    case.at(29)
    assert case.sent == []
    assert case.state.wake() <= 30
    case.at(30)
    assert case.sent == ["rests"]


def test_one_that_does_not_end_in_time_is_refused_before_anything_is_touched():
    rests = make_pod("rests", notes={DO_NOT_DISRUPT: "2m"}, started_at=WALL - 30)
    case = Case(old_node(), rests, node_timeout=60)
    case.begin()
    assert case.state.finish.outcome == "blocked"
    assert "no node was touched" in case.state.finish.message


def test_the_order_of_a_pool_is_in_the_state_only_where_it_is_set():
    assert "poolOrder" not in DrainSettings().to_props()
    assert DrainSettings.from_props(DrainSettings(pool_order=-3).to_props()).pool_order == -3
    for wrong in (1001, 0.5, True):
        with pytest.raises(ConfigError, match=r"drain\.poolOrder: .* is not a whole number from -1000 to 1000"):
            DrainSettings(pool_order=wrong)
