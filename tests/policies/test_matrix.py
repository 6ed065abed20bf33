"""The pack in the real engine, one program per mandatory rule: the preview fails, names that rule, and nothing else."""

import json

import pytest

from policies.rules import RULES
from policies.rules.rule import Level
from policies.rules.subjects import GROUP, POOL_TAG
from tests.policies.matrix import CASES
from tests.policies.matrix_stack import PACK, Stack
from tests.policy_output import violations

MANDATORY = sorted(rule.name for rule in RULES if rule.level is Level.MANDATORY)
MANIFEST = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": "v3.0.0"}
engine = [pytest.mark.sandbox, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(tmp_path_factory.mktemp("matrix"))
    code, output = stack.run("stack", "init", "dev")
    assert code == 0, output
    return stack


def test_every_mandatory_rule_has_a_program_that_breaks_it():
    assert sorted(CASES) == MANDATORY


class TestEngine:
    """With the real engine."""

    pytestmark = engine

    def test_the_good_program_passes_without_a_word(self, stack):
        code, output = stack.preview()
        assert code == 0, output
        assert "nodepools@v" in output, "the pack was not run"
        assert violations(output) == set()

    @pytest.mark.parametrize("name", MANDATORY)
    def test_a_program_that_breaks_one_rule_is_stopped_by_that_rule_alone(self, stack, name):
        code, output = stack.preview(name)
        assert code != 0, output
        assert violations(output) == {("mandatory", name)}, output

    def test_configuration_that_does_not_fit_is_refused_before_anything_is_judged(self, stack):
        wrong = {
            "nodepools-group-launch-hook": {"bootBudget": "soon"},
            "nodepools-pool-nokmem": {"allow": [{"resource": "a"}]},
        }
        code, output = stack.preview(config=wrong)
        assert code != 0, output
        assert "bootBudget" in output
        assert "reason is required" in output
        assert violations(output) == set()

    def test_a_level_is_configuration(self, stack):
        name = "nodepools-launch-template-ssh-key"
        for level, seen in (("advisory", {("advisory", name)}), ("disabled", set())):
            code, output = stack.preview(name, config={name: level})
            assert code == 0, output
            assert violations(output) == seen

    def test_the_state_can_be_judged_without_a_program(self, stack, tmp_path):
        """What `pulumi stack export` writes, with one group of a pool and no hook."""
        urn = f"urn:pulumi:dev::matrix::{GROUP}::worker-group"
        tags = [{"key": POOL_TAG, "value": "worker", "propagateAtLaunch": True}]
        group = {
            "urn": urn,
            "type": GROUP,
            "custom": True,
            "id": "g",
            "inputs": {"tags": tags},
            "outputs": {"tags": tags},
        }
        state = tmp_path / "state.json"
        state.write_text(json.dumps({"version": 3, "deployment": {"manifest": MANIFEST, "resources": [group]}}))
        code, output = stack.run("policy", "analyze", "--file", str(state), "--policy-pack", str(PACK))
        assert code != 0, output
        assert ("mandatory", "nodepools-group-drain-hook") in violations(output), output
