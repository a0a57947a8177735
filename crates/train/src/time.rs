//! The wall clock, for provenance alone.

/// Now, RFC 3339 in UTC, in whole seconds.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
