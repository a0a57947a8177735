//! Peak memory of this process, where Linux tells it.

/// Largest resident memory since the last reset, bytes.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Begins a new peak: a worker trains run after run, and each has its own. Where the system cannot, the peak
/// stays that of the process.
pub fn reset_peak_bytes() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_at_least_what_was_touched() {
        let touched = std::hint::black_box(vec![1u8; 200 << 20]);
        let Some(peak) = peak_bytes() else {
            println!("skipped: this system does not tell its peak memory");
            return;
        };
        assert!(peak as usize >= touched.len(), "{peak}");
    }
}
