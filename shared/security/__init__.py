"""Cryptography and the guards of what others choose: sealing, keys, signatures, links, addresses."""
