"""The collector: a small program inside the cluster that watches a soak and keeps its evidence there.

Standard library only: it is mounted from a ConfigMap into a plain Python image, together with the pure modules of
`soak`, and run as `python -m pulumi_nodepools.collector`. It decides nothing: the gate judges what it keeps.
"""
