"""Which states can be asked for, and from where: a table, and the words of each refusal."""

import pytest

from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.lifecycle import contradictions, require_possible, state_of


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        ({"active": True}, "active"),
        ({}, "standby"),
        ({"retired": True}, "retired"),
        ({"canary": True}, "canary"),
    ],
)
def test_states(asked, state):
    flags = dict.fromkeys(("active", "canary", "retired"), False) | asked
    assert state_of(**flags) == state
    assert list(contradictions(**flags)) == []


@pytest.mark.parametrize(
    ("asked", "key", "words"),
    [
        ({"active": True, "canary": True}, "canary", "to promote it remove canary"),
        ({"active": True, "retired": True}, "retired", "make another one active first"),
        ({"canary": True, "retired": True}, "retired", "stands beside canary"),
    ],
)
def test_what_cannot_be_meant_together(asked, key, words):
    ((found, text),) = contradictions(**(dict.fromkeys(("active", "canary", "retired"), False) | asked))
    assert found == key
    assert words in text


@pytest.mark.parametrize(
    ("state", "exists", "words"),
    [
        ("standby", False, "there is nothing to keep. Make it active, or write canary"),
        ("retired", False, "there is nothing to retire. Remove it from the list"),
        ("canary", True, "cannot become a canary again. Remove it from the list and run `pulumi up`"),
    ],
)
def test_what_exists_forbids_some_steps(state, exists, words):
    states = {"v1": "active", "v2": state}
    with pytest.raises(ConfigError) as caught:
        require_possible("worker", states, {"v1", *(["v2"] if exists else [])})
    first, line = str(caught.value).splitlines()
    assert first == "pool worker cannot get there in one step, nothing was changed:"
    assert line.startswith('  pools.worker.versions."v2": ')
    assert words in line


def test_every_other_step_is_free():
    everything = {"a": "active", "b": "standby", "c": "retired", "d": "canary"}
    require_possible("worker", everything, {"a", "b", "c"})
    require_possible("worker", everything, {"b", "c"})  # a promoted canary, or a version that is new
