"""`drain` and `gate` of a pool in the stack's YAML: how nodes are emptied, and when new ones count as ready."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import units
from pulumi_nodepools.config_model import Count, Duration, Model, Text
from pulumi_nodepools.config_nodes import Labels
from pulumi_nodepools.drain.acknowledge import require_entry
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.errors import ConfigError

# pydantic turns only ValueError into one of its findings, so wrong types are ValueErrors here (TRY004).


def _batch_size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{checks.shown(value)} is not a batch size; write a count (2) or a share (10%)")  # noqa: TRY004
    try:
        units.share("", value, 100)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix(": ")) from None
    return str(value)


def _acknowledged(value: str) -> str:
    try:
        return require_entry(value)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("drain.acknowledge: ")) from None


class ForceConfig(Model):
    pod_age: Duration = Field(default=0.0, description="only pods that have run so long")
    siblings_ready: Duration = Field(
        default=0.0, description="only when all other pods of its budgets have been ready so long, none of them forced"
    )
    interval: Duration = Field(default=0.0, description="at least so long after the last such pod of its node")


class DrainRuleConfig(Model):
    pods: Text = Field(default="*", description="a pattern of <namespace>/<name>, such as jobs/* or shop/db-*")
    labels: Labels = Field(default_factory=dict, description="labels that the pods must have as well")
    do: Literal["drain", "skip", "wait-completed"] = Field(
        default="drain", description="evict them, leave them where they are, or wait until they have completed"
    )
    order: Annotated[Count, Field(ge=-1000, le=1000)] = Field(
        default=0, description="pods with a lower number leave their node before those with a higher one"
    )

    @model_validator(mode="after")
    def _usable(self) -> "DrainRuleConfig":
        try:
            Rule.from_props(self.model_dump())
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("drain.rules: ")) from None
        return self


class BatchGateConfig(Model):
    consecutive: Annotated[Count, Field(ge=1, le=100)] = Field(
        default=1, description="good looks at the workloads in a row, after a batch and again after its soak"
    )
    interval: Duration = Field(
        default=5.0, description="between two looks; what goes wrong between them counts as well"
    )
    command: tuple[Annotated[Text, Field(min_length=1)], ...] = Field(
        default=(),
        description="your own check, run in the project's folder without a shell before the first batch and after the "
        "soak of each: a program and its arguments, such as [./slo.sh, --last, 5m]. Anything but exit code 0 stops the "
        "drain. Its environment has NODEPOOLS_POOL, NODEPOOLS_VERSION, NODEPOOLS_BATCH and NODEPOOLS_NODES. Put no "
        "secret here: it is kept in the stack's state",
    )
    command_timeout: Duration = Field(default=300.0, description="for the command; ended then, it has failed")


class DrainConfig(Model):
    batch_size: Annotated[str, BeforeValidator(_batch_size)] = Field(
        default="10%",
        description="nodes at a time: a count, or a percentage of the version's nodes rounded down, at least 1 (10% of "
        "14 nodes is 1, 25% is 3); nodes with nothing to move are not counted",
    )
    timeout: Duration = Field(default=1800.0, description="for one node, from its first eviction, pauses excluded")
    total_timeout: Duration = Field(default=21600.0, description="for the whole drain, pauses included")
    on_timeout: Literal["fail", "skip", "force"] = Field(
        default="fail", description="when a node's time is up: end, leave that node out, or delete what is left on it"
    )
    batch_soak: Duration = Field(
        default=0.0, description="a pause after each batch but the last, before its workloads are looked at again"
    )
    batch_gate: BatchGateConfig = Field(
        default=BatchGateConfig(), description="what must hold before the next batch begins, beside the guards"
    )
    detach_timeout: Duration = Field(default=600.0, description="for the volumes of a node, once it is empty")
    load_balancers: Literal["deregister", "label"] = Field(
        default="deregister",
        description="take nodes out of their target groups, or only label them for controllers that do",
    )
    deregistration_timeout: Duration = Field(
        default=300.0, description="for a node to leave its target groups, beyond their own deregistration delay"
    )
    nlb_settle: Duration = Field(
        default=120.0, description="how long Network Load Balancers may send new connections after deregistration"
    )
    unbudgeted: Literal["paced", "all"] = Field(
        default="paced", description="workloads without a budget: at most 25 % of each at a time, or all at once"
    )
    single_replicas: Literal["evict", "surge"] = Field(
        default="evict",
        description="the only pod of a Deployment: evicted, or replaced by a rollout before it goes",
    )
    empty_dir: Literal["allow", "block"] = Field(
        default="allow", description="whether pods with local data may be evicted"
    )
    bare_pods: Literal["block", "allow"] = Field(
        default="block", description="whether pods without a controller may go, which nothing brings back"
    )
    jobs: Literal["evict", "wait"] = Field(
        default="evict", description="evict running pods of Jobs, or let them complete"
    )
    pool_order: Annotated[Count, Field(ge=-1000, le=1000)] = Field(
        default=0,
        description="one drain at a time runs in a cluster: of those of one run that wait, pools with a lower number "
        "go first. Above 0 a pool leaves the others 15 s to come",
    )
    force: ForceConfig = Field(
        default=ForceConfig(), description="when onTimeout force may delete a pod under a budget"
    )
    acknowledge: tuple[Annotated[Text, AfterValidator(_acknowledged)], ...] = Field(
        default=(), description="findings that are to stop nothing: <reason>/<namespace>/<name>, * for anything"
    )
    rules: tuple[DrainRuleConfig, ...] = Field(
        default=(), description="other wishes for some pods; the first rule that names a pod counts"
    )


class GateConfig(Model):
    timeout: Duration = Field(default=1800.0, description="for all new nodes to be ready and proved")
    consecutive: Annotated[Count, Field(ge=1, le=100)] = Field(
        default=3, description="good looks in a row that are asked for"
    )
    interval: Duration = Field(default=10.0, description="between two looks")
