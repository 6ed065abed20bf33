"""Instance metadata: only with a session token, and out of reach of pods."""

from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Level, Severity
from .subjects import Answer, NotYet, template_rule
from .values import inner, number

Props = Mapping[str, Any]
LINK = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html"


def check_tokens(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """`metadataOptions.httpTokens` must be "required"; left out, image and account decide."""
    endpoint, tokens = (inner(props.get("metadataOptions"), key) for key in ("httpEndpoint", "httpTokens"))
    if endpoint == "disabled":
        return
    if tokens is UNKNOWN:
        yield NotYet("metadataOptions.httpTokens is unknown before the update")
    elif tokens != "required":
        shown = "not set" if tokens is None else repr(tokens)
        yield f"metadataOptions.httpTokens is {shown}; any request forged through a pod gets the node's credentials."


def check_hops(props: Props, config: Props, _pool: Props) -> Iterator[Answer]:
    """`metadataOptions.httpPutResponseHopLimit` must not exceed `config.maximum` (1)."""
    hops = number(inner(props.get("metadataOptions"), "httpPutResponseHopLimit"))
    limit = number(config.get("maximum"))
    limit = limit if isinstance(limit, float) else 1.0
    if hops is UNKNOWN:
        yield NotYet("metadataOptions.httpPutResponseHopLimit is unknown before the update")
    elif hops is None:
        yield "metadataOptions.httpPutResponseHopLimit is not set; image and account decide, and some images say 2."
    elif hops > limit:
        yield f"metadataOptions.httpPutResponseHopLimit is {hops:g}, more than {limit:g}; pods reach it."


RULES = (
    template_rule(
        check_tokens,
        name="nodepools-launch-template-metadata-tokens",
        description="Instance metadata answers only with a session token (IMDSv2).",
        why="A forged request through any pod would read the credentials of the node's role.",
        fix='Set metadataOptions.httpTokens to "required".',
        example='metadata_options={"http_tokens": "required"}',
        link=LINK,
        severity=Severity.CRITICAL,
    ),
    template_rule(
        check_hops,
        name="nodepools-launch-template-metadata-hops",
        description="Instance metadata does not travel into pods.",
        why="A hop limit of 2 lets pods on the pod network take the credentials of the node.",
        fix="Set metadataOptions.httpPutResponseHopLimit to 1; pods that need AWS get roles of their own.",
        example='metadata_options={"http_put_response_hop_limit": 1}',
        link=LINK,
        level=Level.ADVISORY,
        severity=Severity.HIGH,
        config={
            "maximum": {
                "type": "integer",
                "minimum": 1,
                "maximum": 64,
                "default": 1,
                "description": "The largest hop limit that is fine.",
            }
        },
    ),
)
