"""Effects on the cluster: getting in, requests, watches, evictions, and the drainer that runs drain.machine."""
