"""Programs that run in pods of the cluster: the standard library and their neighbours only, shipped as they are."""
