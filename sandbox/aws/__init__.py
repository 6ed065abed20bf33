"""What the sandbox changes in moto so that Auto Scaling behaves as AWS does. Used by `sandbox.aws_server` alone."""

JOIN_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105
"""A kubeadm token of the documented form, worth nothing anywhere; cluster and simulated AWS have it from the start."""
