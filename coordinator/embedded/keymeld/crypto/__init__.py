"""Derivations, ECIES and EncryptedData (keymeld section 1)."""
