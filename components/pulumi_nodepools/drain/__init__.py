"""The drain as pure functions: what the world looks like, what may be done to it next, and why something is stuck.

No I/O, no clock, no Pulumi: events and times come in, actions go out. cluster/drainer.py carries them out.
"""
