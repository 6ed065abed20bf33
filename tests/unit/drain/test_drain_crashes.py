"""The drain under everything that may happen between its steps, its own death included, in any order."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from simulated_cluster import Sim
from test_drain_machine import APPS, SETTINGS, named, pacing_holds, play

from pulumi_nodepools.drain.events import Pause, Resume


class Drains(RuleBasedStateMachine):
    """One pool's drain, by as many processes as it takes."""

    @initialize(
        apps=st.lists(APPS, min_size=1, max_size=3).map(named), old=st.integers(1, 4), seed=st.integers(0, 2**32)
    )
    def begin(self, apps, old, seed):
        self.sim = Sim(apps, old, random.Random(seed), SETTINGS)
        self.movable = {uid for uid, pod in self.sim.pods.items() if pod.app.kind != "DaemonSet"}

    def unfinished(self):
        return not self.sim.finish

    @rule(turns=st.integers(1, 40))
    def go_on(self, turns):
        for _ in range(turns):
            if self.sim.finish:
                return
            self.sim.turn()
            pacing_holds(self.sim)

    @precondition(unfinished)
    @rule()
    def crash(self):
        self.sim.crash()

    @precondition(unfinished)
    @rule()
    def lose_the_watch(self):
        self.sim.relist()

    @precondition(unfinished)
    @rule()
    def pause_and_resume(self):
        self.sim.put(Pause("ann asked to pause"))
        self.sim.put(Resume())

    @rule()
    def go_to_the_end_and_begin_again(self):
        assert play(self.sim, checks=[pacing_holds]).outcome == "drained"
        assert not self.movable & set(self.sim.pods)
        asked = dict(self.sim.accepted)
        self.sim.finish = None
        self.sim.crash()
        assert play(self.sim).outcome == "drained"
        assert dict(self.sim.accepted) == asked, "what is drained is not drained again"

    @invariant()
    def no_pod_was_evicted_twice(self):
        assert max(self.sim.accepted.values(), default=1) == 1


Drains.TestCase.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
TestDrains = Drains.TestCase
