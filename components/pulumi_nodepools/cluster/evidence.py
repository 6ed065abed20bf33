"""Where a soak's evidence lies in the cluster. Only the collector writes it; what it is worth, the gate says."""

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError
from pulumi_nodepools.names import EVIDENCE_KEY, SOAK_NAMESPACE, evidence_name


def evidence_text(client: Client, pool: str, version: str) -> str | None:
    """The document of this version; None if nothing was ever collected."""
    path = f"/api/v1/namespaces/{SOAK_NAMESPACE}/configmaps/{evidence_name(pool, version)}"
    try:
        data = client.get(path).get("data") or {}
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return data.get(EVIDENCE_KEY)
