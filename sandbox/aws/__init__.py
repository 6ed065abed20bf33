"""What the sandbox changes in moto so that Auto Scaling behaves as AWS does. Used by `sandbox.aws_server` alone."""

JOIN_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105
"""A kubeadm token of the documented form, worth nothing anywhere; cluster and simulated AWS have it from the start."""
CLOCK = 20.0
"""Seconds of AWS in one second here, for health checks, deregistration, load balancers' tails, and volumes."""
HISTORY = "/sandbox/history"
"""Where the simulated AWS tells whom load balancers sent requests to, and which instances ended."""
PROBES = "/sandbox/probes"
"""Where it is told who answers the health checks of target groups."""
