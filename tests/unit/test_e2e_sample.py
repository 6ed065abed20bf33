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
