"""What the sandbox changes in moto so that Auto Scaling behaves as AWS does. Used by `sandbox.aws_server` alone."""
