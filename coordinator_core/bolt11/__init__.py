"""BOLT11 invoices as payers and their agents read them. Writing invoices is the payee's business and not here."""

from coordinator_core.bolt11.amount import PREFIXES
from coordinator_core.bolt11.check import check
from coordinator_core.bolt11.fields import RouteHop
from coordinator_core.bolt11.invoice import Invoice, decode

__all__ = ["PREFIXES", "Invoice", "RouteHop", "check", "decode"]
