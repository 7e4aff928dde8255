from .audit import CHECKS as CHECKS, run_checks as run_checks
from .findings import (
    Audit as Audit,
    Finding as Finding,
    read_audit as read_audit,
    write_audit as write_audit,
)
from .params import AuditParams as AuditParams
