"""A virtual enclave: the only place that opens registrations and signs (keymeld section 4.8).

Nothing here trusts the gateway: every command carries the signed objects, and each enclave checks them again.
"""
