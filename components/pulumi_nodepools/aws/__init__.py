"""AWS calls made outside the Pulumi program: identity, Auto Scaling groups, subnets.

Nothing here knows Kubernetes or Pulumi. boto3 is imported at the first call: a preview that needs no AWS call, and the
plugin process at start, must not pay for it.
"""
