"""MuSig2 (BIP327) with taproot tweaks and adaptor signatures of the Rust crate musig2 ("variant B").

    KeySet, SigningItem                    what is signed, and under which keys
    MultiSigner                            one of several signers: nonces(), then sign(), once
    SoloSigner                             the one process that holds every key
    aggregate_nonces, aggregate_signatures what the session's coordinator does; verify_partial finds the culprit
    verify, verify_batch                   64-byte BIP340 signatures, 65-byte adaptor signatures
    adapt, extract                         complete an adaptor signature; learn the secret from a completed one

Message, key set and adaptor point are fixed when a nonce is made, and a session is never taken from outside: in
variant B, whoever could choose the adaptor point after seeing nonces could forge signatures.
"""

from coordinator_core.musig2.adaptor import adapt, extract
from coordinator_core.musig2.aggregation import aggregate_nonces, aggregate_signatures, verify_partial
from coordinator_core.musig2.forms import confirm_forms
from coordinator_core.musig2.guard import run as _run_guard
from coordinator_core.musig2.item import SigningItem, is_adaptor_point
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.multi import MultiSigner
from coordinator_core.musig2.solo import SoloSigner
from coordinator_core.musig2.verification import verify, verify_batch

__all__ = [
    "KeySet",
    "MultiSigner",
    "SigningItem",
    "SoloSigner",
    "adapt",
    "aggregate_nonces",
    "aggregate_signatures",
    "confirm_forms",
    "extract",
    "is_adaptor_point",
    "verify",
    "verify_batch",
    "verify_partial",
]

_run_guard()
