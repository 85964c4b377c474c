"""A keymeld gateway of protocol generation A with virtual enclaves, for development and test networks.

It speaks the wire protocol of keymeld 0.4 and later (authorization v1): signed manifests, sealed registrations,
signed batches, approvals enforced by the enclaves. One process plays the gateway and every enclave, so it is
custodial and unattested; it refuses mainnet.

    crypto/         derivations, ECIES, EncryptedData
    authorization/  every signed object, one a file: its fields, its digest, its rules
    enclave/        what holds keys: registration, roster, signing rules, rounds
    gateway/        what holds state: sessions, quota, replay table, approvals, jobs, faults
    http/           routes, bodies, errors, rate limits
"""
