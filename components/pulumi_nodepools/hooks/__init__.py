"""Pulumi dynamic resources: thin fronts that decode properties, call the engine room and report progress.

The plugin process imports these modules by the path written in a stack's state: module and class names never change.
"""
