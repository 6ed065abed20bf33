"""Which long scenarios a pull request runs."""

from tests.e2e.conftest import sampled

NAMES = [f"scenario-{number}" for number in range(9)]


def test_a_seed_chooses_the_same_scenarios_in_any_order():
    chosen = sampled(NAMES, "7")
    assert len(chosen) == 3
    assert sampled(NAMES[::-1], "7") == chosen
    assert sampled(NAMES[:2], "7") == {*NAMES[:2]}


def test_all_scenarios_have_their_turn():
    assert set().union(*(sampled(NAMES, str(seed)) for seed in range(20))) == {*NAMES}


def test_a_scenario_with_many_cases_is_chosen_no_more_often_than_others():
    cases = [f"killed[{number}]" for number in range(30)]
    chosen = [sampled(NAMES + cases, str(seed)) for seed in range(20)]
    assert all(len(one) == 3 and len(one & {*cases}) <= 1 for one in chosen)
    assert any(one & {*cases} for one in chosen)
    assert not all(one & {*cases} for one in chosen)
