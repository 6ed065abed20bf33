"""What an Auto Scaling group launches: one numbered version of a template."""

from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, group_rule
from .values import inner

Props = Mapping[str, Any]


def check(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """The template's version is a number; a group without a template is refused."""
    specification = inner(props.get("mixedInstancesPolicy"), "launchTemplate", "launchTemplateSpecification")
    template = specification if specification is not None else props.get("launchTemplate")
    version = inner(template, "version")
    if template is None:
        what = "a launch configuration" if props.get("launchConfiguration") else "nothing that is named"
        yield f"it launches from {what}, not from a launch template."
    elif version is UNKNOWN:
        yield NotYet("the version of its launch template is unknown before the update")
    elif version is None or not str(version).isdigit():
        shown = "not set, which means $Default" if version is None else repr(str(version))
        yield f"the version of its launch template is {shown}: nodes change without a preview."


RULES = (
    group_rule(
        check,
        name="nodepools-group-template-version",
        description="A group launches a numbered version of its launch template.",
        why='"$Latest" launches what nobody has previewed, at the next scale-out, beside nodes of the version before.',
        fix="Set launchTemplate.version to a number, or to latest_version of the template in the program.",
        example='launch_template={"id": template.id, "version": template.latest_version}',
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-templates.html",
        severity=Severity.HIGH,
    ),
)
