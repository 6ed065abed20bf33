"""The sandbox's EC2 instances: they run the user data they were given, and become Nodes when it lets them.

Nothing here knows what the user data should do. An instance is a scratch root, a command line, a few stand-in tools
and a metadata service; whether it joins is decided by the text it was launched with. Auto Scaling is the simulated
AWS's business, pods are kwok's.
"""
