"""`nodepools:cluster` in the stack's YAML: the cluster that nodes join, and how the drain gets in."""

from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.config_model import Model, Switch, Text, some

ClusterName = Annotated[str, BeforeValidator(partial(checks.name, "cluster name"))]


class KubeadmJoinConfig(Model):
    kind: Literal["kubeadm"] = Field(description="kubeadm: nodes join with a bootstrap token")
    token_parameter: Annotated[Text, AfterValidator(checks.token_parameter)] | None = Field(
        default=None,
        description="the name of the SSM parameter that holds the join token, such as /nodepools/prod/join-token",
    )
    token_secret: Annotated[Text, AfterValidator(checks.token_secret)] | None = Field(
        default=None,
        description="the name of the Secrets Manager secret that holds it instead, such as nodepools/prod/join",
    )
    ca_cert_hashes: Annotated[
        tuple[Annotated[Text, AfterValidator(checks.ca_cert_hash)], ...], BeforeValidator(some)
    ] = Field(description='the pins of the cluster\'s CA, such as ["sha256:..."]')

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.token_parameter is None) == (self.token_secret is None):
            raise ValueError(
                "the join token has one place; write tokenParameter (the name of an SSM parameter, such as "
                "/nodepools/prod/join-token) or tokenSecret (the name of a Secrets Manager secret), one of the two"
            )
        return self


class EksJoinConfig(Model):
    kind: Literal["eks"] = Field(description="eks: nodes join as the images of EKS do")
    service_cidr: Annotated[Text, AfterValidator(checks.network)] | None = Field(
        default=None,
        description="the cluster's service network, such as 172.20.0.0/16; Amazon Linux 2023 asks for it",
    )
    access_entry: Switch = Field(
        default=True,
        description="whether roles made for nodes get an access entry; false where the aws-auth ConfigMap admits nodes",
    )


class AwsAccessConfig(Model):
    profile: Text | None = Field(default=None, description="the AWS profile that gates and drains use")
    role_arn: Text | None = Field(default=None, description="the IAM role that gates and drains take on")


class KubeconfigAccessConfig(AwsAccessConfig):
    kind: Literal["kubeconfig"] = Field(description="kubeconfig: credentials come from a kubeconfig file")
    path: Text | None = Field(
        default=None, description="the file; without it $KUBECONFIG or ~/.kube/config, at the time of use"
    )
    context: Text | None = Field(default=None, description="the context in it; without it the current one")


class EksAccessConfig(AwsAccessConfig):
    kind: Literal["eks"] = Field(description="eks: a token is made from AWS credentials at the time of use")
    cluster_name: Text | None = Field(default=None, description="the name in EKS; without it the cluster's name")
    region: Text | None = Field(default=None, description="the cluster's region; without it aws:region")


class ClusterConfig(Model):
    name: ClusterName = Field(description="the cluster's name, such as prod")
    endpoint: Annotated[Text, AfterValidator(checks.endpoint)] = Field(
        description="the API server as nodes reach it, such as https://api.example.com:6443"
    )
    certificate_authority: Annotated[Text, AfterValidator(checks.certificate_authority)] = Field(
        description="base64 of the cluster's CA certificate, as in certificate-authority-data of a kubeconfig"
    )
    join: Annotated[KubeadmJoinConfig | EksJoinConfig, Field(discriminator="kind")] = Field(
        description="how nodes join: {kind: kubeadm, tokenParameter: ..., caCertHashes: [...]} or {kind: eks}"
    )
    access: Annotated[KubeconfigAccessConfig | EksAccessConfig, Field(discriminator="kind")] = Field(
        description="how the drain reaches the cluster: {kind: kubeconfig} or {kind: eks}"
    )
