"""One machine's stand-in for AWS and nodes, around a real Pulumi engine and a real Kubernetes control plane."""
