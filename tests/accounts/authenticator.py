"""An authenticator in software: ES256, user verification, a counter. It answers as a browser would, and lies where a test tells it to."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40  # flags


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


class Authenticator:
    """One passkey."""

    def __init__(self, origin: str, rp_id: str, *, credential_id: bytes = b"credential-of-16", counts: bool = True) -> None:
        self.origin = origin
        self.rp_id = rp_id
        self.credential_id = credential_id
        self.counts = counts
        self.counter = 0
        self.handle = b""
        self.flags = PRESENT | VERIFIED
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: Mapping[str, Any]) -> str:
        """What the browser posts for a new passkey."""
        self.handle = octets(options["user"]["id"])
        numbers = self._key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        public_key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y  # COSE: EC2, ES256, P-256
        credential = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public_key
        data = self._data(HAS_CREDENTIAL) + credential
        attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
        response = {"clientDataJSON": text(self._client_data("webauthn.create", options)), "attestationObject": text(attestation)}
        return self._credential(response)

    def get(self, options: Mapping[str, Any]) -> str:
        """What the browser posts for a passkey that was used."""
        data, client_data = self._data(0), self._client_data("webauthn.get", options)
        signature = self._key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text(client_data),
            "authenticatorData": text(data),
            "signature": text(signature),
            "userHandle": text(self.handle),
        }
        return self._credential(response)

    def _data(self, flags: int) -> bytes:
        self.counter += self.counts
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags | flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind: str, options: Mapping[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}).encode()

    def _credential(self, response: Mapping[str, str]) -> str:
        name = text(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
