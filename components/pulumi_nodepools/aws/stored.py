"""Small values that are kept in AWS: SSM parameters and Secrets Manager secrets."""

from pulumi_nodepools.aws.session import Session


def read_parameter(session: Session, name: str) -> str:
    """The decrypted value of an SSM parameter."""
    return str(session.call("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]["Value"])


def read_secret(session: Session, name: str) -> str:
    """The string of a Secrets Manager secret."""
    return str(session.call("secretsmanager", "get_secret_value", SecretId=name).get("SecretString", ""))
