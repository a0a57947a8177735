//! Content hashes: blake3 over bytes or over canonical JSON, as text.

use scalelaw_schema::canonical::to_canonical_json;

/// 32 bytes of blake3.
pub(crate) type Digest = [u8; 32];

/// 64 hex digits of blake3 over the canonical JSON of `value`.
pub(crate) fn of_json(value: &serde_json::Value) -> String {
    of_bytes(to_canonical_json(value).as_bytes())
}

/// 64 hex digits of blake3.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
