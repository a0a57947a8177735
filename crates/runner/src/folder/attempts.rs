//! `attempts.jsonl`: the failed attempts of a run, and what the next one does differently.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use scalelaw_disk::DiskError;
use scalelaw_schema::folder::ATTEMPTS_JSONL;
use scalelaw_schema::record::{Attempt, Failure};
use scalelaw_schema::train_spec::TrainSpec;

/// The failed attempts of the run in `folder`, oldest first. A line that a crash left incomplete is ignored.
///
/// # Errors
/// The file exists and cannot be read.
pub fn failed_attempts(folder: &Path) -> Result<Vec<Attempt>, DiskError> {
    let text = scalelaw_disk::read(&folder.join(ATTEMPTS_JSONL))?.unwrap_or_default();
    Ok(text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Records a failed attempt.
///
/// # Errors
/// The file cannot be read or written.
pub fn append(folder: &Path, attempt: &Attempt) -> Result<(), DiskError> {
    let path = folder.join(ATTEMPTS_JSONL);
    let is_torn = scalelaw_disk::read(&path)?.is_some_and(|text| text.last().is_some_and(|&b| b != b'\n'));
    let start = if is_torn { "\n" } else { "" };
    let line = format!("{start}{}\n", serde_json::to_string(attempt).expect("an attempt is plain data"));
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(DiskError::at("append to", &path))
}

/// Tokens to compute at once in the next attempt of a run: half of the smallest number that did not fit into memory, at
/// least one sequence; `None` (the whole batch) if none failed so.
///
/// The gradient is the sum over micro-batches, so the mathematics is the same.
pub fn next_micro_batch_tokens(attempts: &[Attempt], train: &TrainSpec) -> Option<u64> {
    let sequence = train.longest_context();
    attempts
        .iter()
        .filter(|attempt| attempt.failure == Failure::OutOfMemory)
        .map(|attempt| {
            // Attempts of older programs are counted in sequences.
            let in_sequences = attempt.micro_batch.map(|sequences| sequences as u64 * sequence);
            half(attempt.micro_batch_tokens.or(in_sequences), train).unwrap_or(sequence)
        })
        .min()
}

/// Half of a micro-batch (`None`: the whole batch) in whole sequences; `None` if it has only one.
pub(crate) fn half(micro_batch_tokens: Option<u64>, train: &TrainSpec) -> Option<u64> {
    let sequence = train.longest_context();
    let n_sequences = micro_batch_tokens.unwrap_or(train.largest_batch_tokens()) / sequence;
    (n_sequences > 1).then_some(n_sequences / 2 * sequence)
}

/// An attempt that fails now.
pub(crate) fn failed_now(
    failure: Failure,
    why: String,
    micro_batch_tokens: Option<u64>,
    resume_step: Option<u64>,
) -> Attempt {
    let ended = jiff::Timestamp::now().to_string();
    Attempt { ended, failure, why, micro_batch_tokens, micro_batch: None, resume_step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::testing::run_spec;

    #[test]
    fn attempts_read_back_in_order_past_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(failed_attempts(dir.path()).unwrap(), []);
        let first = failed_now(Failure::WorkerDied, "signal 9".to_string(), None, Some(40));
        let second = failed_now(Failure::OutOfMemory, "line\nfeed".to_string(), Some(4), None);
        append(dir.path(), &first).unwrap();
        let path = dir.path().join(ATTEMPTS_JSONL);
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"ended\":\"20").unwrap();
        append(dir.path(), &second).unwrap();
        assert_eq!(failed_attempts(dir.path()).unwrap(), [first, second]);
    }

    #[test]
    fn each_lack_of_memory_halves_the_micro_batch_down_to_one_sequence() {
        let mut train = run_spec(0).train;
        train.phases[0].batch_sequences = 24;
        let tokens = |sequences: u64| sequences * train.phases[0].context_len as u64;
        let lacked = |sequences: Option<u64>| {
            failed_now(Failure::OutOfMemory, String::new(), sequences.map(tokens), None)
        };
        let died = failed_now(Failure::WorkerDied, String::new(), Some(tokens(2)), None);
        for (attempts, expected) in [
            (vec![], None),
            (vec![died.clone()], None),
            (vec![lacked(None)], Some(12)),
            (vec![lacked(None), lacked(Some(12)), died], Some(6)),
            (vec![lacked(Some(3))], Some(1)),
            (vec![lacked(Some(1))], Some(1)),
        ] {
            assert_eq!(next_micro_batch_tokens(&attempts, &train), expected.map(tokens), "{attempts:?}");
        }
    }

    #[test]
    fn a_line_that_counts_sequences_is_understood() {
        let train = run_spec(0).train;
        let line = r#"{"ended":"2026-01-01T00:00:00Z","failure":"out-of-memory","why":"","micro_batch":4}"#;
        let attempt: Attempt = serde_json::from_str(line).unwrap();
        assert_eq!(next_micro_batch_tokens(&[attempt], &train), Some(2 * train.longest_context()));
    }
}
