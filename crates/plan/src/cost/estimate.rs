//! What one run will cost, before it starts: time, disk, energy, money. Its memory is in [`super::memory`].

use scalelaw_schema::device::DeviceSpeed;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::plan::Estimate;
use scalelaw_schema::run::{Keep, RunSpec};
use scalelaw_schema::sweep::CostChoice;

use crate::cost::energy::energy_and_money;
use crate::cost::memory::F32;
use crate::facts::PlanFacts;

/// Checkpoints on the disk at once.
const CHECKPOINTS_KEPT: f64 = 2.0;

/// What a checkpoint holds of each parameter, in f32: the weight and two moments.
const CHECKPOINT_PER_PARAM: f64 = 3.0;

/// A row of metrics as JSON, bytes.
const METRICS_ROW_BYTES: f64 = 400.0;

/// run.toml, record.json, evaluations and log, bytes.
const SMALL_FILES_BYTES: f64 = 32_768.0;

/// What `run`, which takes this much memory, will cost in one slot.
pub(crate) fn estimate(
    run: &RunSpec,
    memory_bytes: f64,
    facts: &PlanFacts,
    cost: Option<&CostChoice>,
) -> Estimate {
    let n_total = run.train.model.params().total() as f64;
    let seconds = facts
        .speed
        .as_ref()
        .and_then(|speed| flops_per_second(speed, n_total))
        .map(|rate| (run.train.flops_spent().total() + eval_flops(run)) / rate);
    let own_steps = run.train.total_steps() - run.train.first_step();
    let n_rows = own_steps.div_ceil(run.cadence.log_steps.max(1)) as f64;
    let weights = match run.keep {
        Keep::Weights => F32 * n_total,
        Keep::None => 0.0,
    };
    let n_checkpoints = CHECKPOINTS_KEPT + run.keep_steps.len() as f64;
    let checkpoints = n_checkpoints * CHECKPOINT_PER_PARAM * F32 * n_total;
    let (kwh, money) = energy_and_money(seconds.map(|seconds| seconds / facts.slots.max(1) as f64), cost);
    Estimate {
        seconds,
        memory_bytes,
        disk_bytes: checkpoints + weights + n_rows * METRICS_ROW_BYTES + SMALL_FILES_BYTES,
        kwh,
        money,
    }
}

/// Training rate of one slot for a model of `n_total` parameters, FLOP/s: the measured rates joined by straight
/// lines in log N and log rate, and constant beyond the smallest and the largest size measured. `None` if
/// nothing was measured.
fn flops_per_second(speed: &DeviceSpeed, n_total: f64) -> Option<f64> {
    let mut points: Vec<(f64, f64)> = speed
        .training
        .iter()
        .filter(|point| point.n_total > 0.0 && point.flops_per_second > 0.0)
        .map(|point| (point.n_total.ln(), point.flops_per_second.ln()))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let x = n_total.ln();
    let above = points.partition_point(|point| point.0 < x);
    let ln_rate = match (above.checked_sub(1).map(|below| points[below]), points.get(above)) {
        (None, None) => return None,
        (None, Some(end)) => end.1,
        (Some(end), None) => end.1,
        (Some(low), Some(high)) => low.1 + (x - low.0) / (high.0 - low.0) * (high.1 - low.1),
    };
    Some(ln_rate.exp())
}

/// FLOPs of all evaluations of a run: forward passes only.
fn eval_flops(run: &RunSpec) -> f64 {
    let every = run.cadence.eval_steps.max(1);
    let n_times = (run.train.total_steps().div_ceil(every) - run.train.first_step() / every).max(1);
    let flops = |spec: &EvalSpec| {
        let (context_len, n_sequences) = match *spec {
            EvalSpec::HeldOut { n_tokens, context_len, .. } => {
                (context_len, n_tokens as f64 / context_len as f64)
            }
            EvalSpec::Skill { n_sequences, context_len, .. } => (context_len, n_sequences as f64),
        };
        run.train.model.forward_flops(context_len).total() * n_sequences
    };
    let at_end: f64 = run.evals.iter().map(|request| flops(&request.spec)).sum();
    let during: f64 =
        run.evals.iter().map(|request| flops(&request.spec.at_most(run.cadence.eval_items))).sum();
    at_end + during * (n_times - 1) as f64
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::device::TrainingSpeed;

    use super::*;

    #[test]
    fn the_rate_is_interpolated_in_logs_and_constant_beyond_the_ends() {
        let training = |points: &[(f64, f64)]| DeviceSpeed {
            matmul_flops_per_second: 1e12,
            training: points
                .iter()
                .map(|&(n_total, flops_per_second)| TrainingSpeed { n_total, flops_per_second })
                .collect(),
            slots: 1,
        };
        let speed = training(&[(1e6, 4e10), (1e4, 1e10)]);
        for (n, expected) in [(1e3, 1e10), (1e4, 1e10), (1e5, 2e10), (1e6, 4e10), (1e9, 4e10)] {
            let found = flops_per_second(&speed, n).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-12, "{n}: {found}");
        }
        assert_eq!(flops_per_second(&training(&[]), 1e5), None);
        let one = flops_per_second(&training(&[(1e4, 3e9)]), 1e9).unwrap();
        assert!((one / 3e9 - 1.0).abs() < 1e-12);
    }
}
