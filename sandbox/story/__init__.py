"""The demo's story: workloads, the CI job that fails on unpatched nodes (ci), and the soaks that find it out."""
