"""The demo's story: what runs on the cluster (workloads) and the CI job that fails on unpatched nodes (ci)."""
