"""`soak` of a pool in the stack's YAML: the rules by which a canary becomes promotable.

The rules between values are SoakArgs', which programs in Python meet as well.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.config_model import Count, Duration, Model, Switch, Text
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.soak.custom import with_custom
from pulumi_nodepools.soak.model import SignatureSet
from pulumi_nodepools.soak_args import SoakArgs

Image = Annotated[Text, AfterValidator(checks.pinned_image)]


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%") and value[:-1].replace(".", "", 1).isdecimal():
        value = float(value[:-1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{checks.shown(value)} is not a share; write it like 1% or 0.01")  # noqa: TRY004
    return float(value)


def _minutes(value: float) -> float:
    if value % 60:
        raise ValueError(f"{value:g}s is no whole number of minutes")
    return value


def _sets(value: Any) -> Any:
    try:
        return with_custom("", value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _template(value: Any) -> Any:
    spec = value.get("spec") if isinstance(value, Mapping) else None
    if not isinstance(spec, Mapping) or not spec.get("containers"):
        raise ValueError("is not a pod template; write spec: {containers: [{name: ..., image: ...}]}")
    if "nodeName" in spec:
        raise ValueError("names a node (nodeName); where a run goes is set by this library")
    return value


class SoakImagesConfig(Model):
    collector: Image = Field(description="a Python image (3.11 or newer), pinned by digest")
    kernel_watch: Image = Field(description="an image of node-problem-detector, pinned by digest")
    kind_in_docker: Image | None = Field(
        default=None,
        description="an image with docker and kind, for the ready-made job in the place of pods; pinned by digest",
    )


class OverrideConfig(Model):
    version: Text = Field(description="the version that is let through")
    reason: Annotated[Text, Field(min_length=10)] = Field(description="why, for whoever reads the state")


class SoakConfig(Model):
    images: SoakImagesConfig = Field(description="{collector: ...@sha256:..., kernelWatch: ...@sha256:...}")
    duration: Duration = Field(default=259200.0, description="how long the canary is watched without a gap")
    runs: Annotated[Count, Field(ge=1)] = Field(default=100, description="how many runs have to end on the canary")
    failure_rate: Annotated[float, BeforeValidator(_share)] = Field(
        default=0.0, description="the share of runs that may fail, such as 1%"
    )
    every: Annotated[Duration, AfterValidator(_minutes)] = Field(default=600.0, description="a run begins so often")
    parallel: Annotated[Count, Field(ge=1, le=50)] = Field(default=1, description="runs at a time")
    timeout: Duration = Field(default=1800.0, description="for one run")
    baseline: Switch = Field(default=True, description="whether each run is repeated on the old nodes, to compare")
    pods: Annotated[Any, AfterValidator(lambda value: value if value is None else _template(value))] = Field(
        default=None, description="the pod template of a run, as in a Job: {spec: {containers: [...]}}"
    )
    signatures: Annotated[tuple[SignatureSet, ...], BeforeValidator(_sets)] = Field(
        default=with_custom("", None),
        description="sets of log lines that show a bug, beside the kmem set (see soak.md)",
    )
    override: OverrideConfig | None = Field(default=None, description="lets one version through without a passed soak")

    @model_validator(mode="after")
    def _judge(self) -> Self:
        try:
            self.args()
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("soak: ").removeprefix("soak.")) from None
        return self

    def args(self) -> SoakArgs:
        """The same for the components."""
        return SoakArgs(
            collector=self.images.collector,
            kernel_watch=self.images.kernel_watch,
            kind_in_docker=self.images.kind_in_docker,
            template=self.pods,
            duration=self.duration,
            runs=self.runs,
            failure_rate=self.failure_rate,
            every=int(self.every // 60),
            parallel=self.parallel,
            timeout=self.timeout,
            baseline=self.baseline,
            sets=self.signatures,
            overrides={self.override.version: self.override.reason} if self.override else {},
        )
