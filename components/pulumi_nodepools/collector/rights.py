"""What a collector may do: read what belongs to a soak, and write evidence in its own namespace. As RBAC rules."""

_READ = ("get", "list")

CLUSTER_RULES = ({"apiGroups": [""], "resources": ["nodes", "events"], "verbs": list(_READ)},)
NAMESPACE_RULES = (
    {"apiGroups": [""], "resources": ["pods", "pods/log", "events"], "verbs": list(_READ)},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "update"]},
)
