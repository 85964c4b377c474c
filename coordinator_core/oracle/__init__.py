"""The oracle's side of a contract: outcomes and their messages, locking points, attestations, signed
statements.
"""
