"""What runs in pods of the cluster: the standard library and its neighbours only, shipped as it is."""
