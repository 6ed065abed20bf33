"""What was done, for people and for programs: the documented shape of report.json, and report.html made from it. Pure.

Nothing here measures anything; drains, soaks and the demo write what they measured, in this shape.
"""

from pulumi_nodepools.reporting.document import Demo, Document, Drain, Failure, Soak, read, schema
from pulumi_nodepools.reporting.page import page

__all__ = ["Demo", "Document", "Drain", "Failure", "Soak", "page", "read", "schema"]
