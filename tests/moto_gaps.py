"""Calls of this library that moto does not know, answered as for a caller who may do everything."""

from typing import Any

from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse


def fill() -> None:
    """Add them to moto in this process; harmless to repeat."""
    gaps: Any = (
        (IamResponse, "simulate_principal_policy", _allowed),
        (AutoScalingResponse, "describe_instance_refreshes", lambda _response: ActionResult({"InstanceRefreshes": []})),
    )
    for service, operation, answer in gaps:
        if not hasattr(service, operation):
            setattr(service, operation, answer)


def _allowed(response: Any) -> ActionResult:
    names = response._get_param("ActionNames", [])
    return ActionResult({"EvaluationResults": [{"EvalActionName": one, "EvalDecision": "allowed"} for one in names]})
