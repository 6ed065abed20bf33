"""The stand-in for the kernel bug: it must depend on the command line alone, and must be able to fail."""

from sandbox.story import ci


def test_a_run_fails_at_random_only_where_kernel_memory_is_accounted() -> None:
    draws = [number / 100 for number in range(100)]
    assert sum(ci.outcome(patched=False, draw=draw) for draw in draws) == 40
    assert not any(ci.outcome(patched=True, draw=draw) for draw in draws)


def test_an_eviction_does_not_count_as_a_failed_run() -> None:
    (rule,) = ci.job(1)["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
