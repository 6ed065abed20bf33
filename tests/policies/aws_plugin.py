"""A `pulumi-resource-aws` for previews only: takes whatever inputs a program gives, and knows no outputs before `up`.

What is asked here is what policies see; what AWS would say to the inputs is the sandbox's plugin's business.
"""

from importlib.metadata import version

from sandbox.plugins.host import Kind, Plugin, serve


class Anything(Kind):
    """Any resource type."""

    computed = ("arn", "latestVersion")


class Aws(Plugin):
    """The package aws."""

    package = "aws"

    def kind(self, token: str) -> Kind:
        return Anything()


if __name__ == "__main__":
    serve(Aws(), version("pulumi-aws"))
