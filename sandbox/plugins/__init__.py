"""Stand-ins for the resource plugins aws, kubernetes and command, for machines without the real ones."""
