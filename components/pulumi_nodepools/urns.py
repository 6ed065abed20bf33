"""URNs that a program has to know before the engine tells them."""

import pulumi

DYNAMIC = "pulumi-python:dynamic/nodepools:"


def child_urn(parent: pulumi.Resource, token: str, name: str) -> pulumi.Output[str]:
    """The URN that a child of `parent` will have, without an edge to anything; "" if it cannot be told.

    `parent.urn` itself as an input would make the child depend on the component and all its other children.
    """

    async def compute() -> str:
        urn = await parent.urn.future()
        parts = (urn or "").split("::", 3)
        return "::".join([*parts[:2], f"{parts[2]}${token}", name]) if len(parts) == 4 else ""

    return pulumi.Output.from_input(compute())
