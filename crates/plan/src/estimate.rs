//! What a run will cost, before the fact: time, memory, disk, energy, money.

use std::collections::VecDeque;

use scalelaw_schema::device::DeviceSpeed;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::{Estimate, PlanTotal, PlannedRun};
use scalelaw_schema::run::{Keep, RunSpec};
use scalelaw_schema::sweep::CostChoice;

use crate::trunk::parents;

/// Bytes of an f32.
const F32: f64 = 4.0;

/// What each parameter holds while it is trained, in f32: the weight, its gradient, and AdamW's two moments.
const STATE_PER_PARAM: f64 = 4.0;

/// Values of width `d_model` that one block keeps per token for its backward pass: 3 for each of the two norms
/// (input, root, output), 3 for query, key and value, 4 for the two rotations, 2 for attention's output and its
/// projection, 1 for the residual. Counted from the operations, to be set right by measurement.
const KEPT_D_MODEL: f64 = 16.0;

/// Values of width `d_ff` likewise: gate, its sigmoid, their product, up, and the product of both.
const KEPT_D_FF: f64 = 5.0;

/// Copies of the `T x T` scores of each head: scaled, masked, exponentials, shares.
const KEPT_SCORES: f64 = 4.0;

/// Copies of the logits: themselves, the shifted ones, their logarithms, their gradient.
const KEPT_LOGITS: f64 = 4.0;

/// Checkpoints on the disk at once.
const CHECKPOINTS_KEPT: f64 = 2.0;

/// What a checkpoint holds of each parameter, in f32: the weight and two moments.
const CHECKPOINT_PER_PARAM: f64 = 3.0;

/// A row of metrics with its numbers spelt out, bytes.
const METRICS_ROW_BYTES: f64 = 400.0;

/// run.toml, record.json, evaluations and log, bytes.
const SMALL_FILES_BYTES: f64 = 32_768.0;

/// Joules of a kilowatt-hour.
const JOULES_PER_KWH: f64 = 3.6e6;

/// Seconds of an hour.
const SECONDS_PER_HOUR: f64 = 3600.0;

/// Peak memory of training with `micro_batch` sequences at once, bytes: state and activations.
///
/// Activations are those that composed operations keep for the backward pass, per token of the micro-batch:
/// `n_layer · (16·d_model + 5·d_ff + 4·n_head·T) + 3·d_model + 4·V` values in f32. The trainer itself and the
/// allocator's slack come on top.
pub fn memory_bytes(model: &ModelSpec, context_len: usize, micro_batch: usize) -> f64 {
    let ModelSpec::Transformer(shape) = model;
    let [l, d, f, h, v] =
        [shape.n_layer, shape.d_model, shape.d_ff, shape.n_head, shape.vocab_size].map(|x| x as f64);
    let t = context_len as f64;
    let state = model.params().total() as f64 * STATE_PER_PARAM;
    let block = KEPT_D_MODEL * d + KEPT_D_FF * f + KEPT_SCORES * h * t;
    let per_token = l * block + 3.0 * d + KEPT_LOGITS * v;
    (state + micro_batch as f64 * t * per_token) * F32
}

/// The largest micro-batch (the batch, its half, its quarter, ...) whose memory is at most `bytes`, with that
/// memory; where not even one sequence fits, that of one sequence.
pub(crate) fn micro_batch(
    model: &ModelSpec,
    context_len: usize,
    batch_sequences: usize,
    bytes: Option<f64>,
) -> (usize, f64) {
    let mut micro_batch = batch_sequences.max(1);
    loop {
        let needed = memory_bytes(model, context_len, micro_batch);
        if micro_batch == 1 || bytes.is_none_or(|bytes| needed <= bytes) {
            return (micro_batch, needed);
        }
        micro_batch = micro_batch.div_ceil(2);
    }
}

/// The largest single buffer of training one sequence at a time, bytes: a weight matrix or the scores of a block.
/// Logits can be cut into chunks.
pub(crate) fn largest_binding_bytes(model: &ModelSpec, context_len: usize) -> f64 {
    let ModelSpec::Transformer(shape) = model;
    let [d, f, h, v, t] =
        [shape.d_model, shape.d_ff, shape.n_head, shape.vocab_size, context_len].map(|x| x as f64);
    F32 * (d * d).max(d * f).max(v * d).max(h * t * t)
}

/// Training rate of one slot for a model of `n_total` parameters, FLOP/s: the measured rates joined by straight
/// lines in log N and log rate, and constant beyond the smallest and the largest size measured. None where
/// nothing was measured.
pub fn flops_per_second(speed: &DeviceSpeed, n_total: f64) -> Option<f64> {
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

/// What `run` will cost in one of `slots` slots.
pub(crate) fn estimate(
    run: &RunSpec,
    memory_bytes: f64,
    speed: Option<&DeviceSpeed>,
    slots: usize,
    cost: Option<&CostChoice>,
) -> Estimate {
    let n_total = run.train.model.params().total() as f64;
    let seconds = speed
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
    let (kwh, money) = energy_and_money(seconds.map(|seconds| seconds / slots as f64), cost);
    Estimate {
        seconds,
        memory_bytes,
        disk_bytes: checkpoints + weights + n_rows * METRICS_ROW_BYTES + SMALL_FILES_BYTES,
        kwh,
        money,
    }
}

/// Energy and money of this many seconds of the whole machine; each only where what it needs is given.
fn energy_and_money(machine_seconds: Option<f64>, cost: Option<&CostChoice>) -> (Option<f64>, Option<f64>) {
    let (Some(seconds), Some(cost)) = (machine_seconds, cost) else { return (None, None) };
    let kwh = cost.watts.map(|watts| watts * seconds / JOULES_PER_KWH);
    let of_hours = cost.price_per_hour.map(|price| price * seconds / SECONDS_PER_HOUR);
    let money = match (cost.price_per_kwh, kwh) {
        (Some(price), Some(kwh)) => Some(price * kwh + of_hours.unwrap_or(0.0)),
        // A price of energy without the energy would leave out a part of the sum.
        (Some(_), None) => None,
        (None, _) => of_hours,
    };
    (kwh, money)
}

/// Sums over runs that are started in this order on `slots` slots, each as soon as one is free and, for a branch,
/// its trunk has come to the step where it begins. A trunk that is not among the runs is over.
pub fn totals<'a>(
    runs: impl IntoIterator<Item = &'a PlannedRun>,
    slots: usize,
    cost: Option<&CostChoice>,
) -> PlanTotal {
    let runs: Vec<&PlannedRun> = runs.into_iter().collect();
    let sum = |of: fn(&PlannedRun) -> f64| runs.iter().map(|run| of(run)).sum();
    let parents = parents(&runs);
    let jobs: Option<Vec<Job>> = runs
        .iter()
        .zip(&parents)
        .map(|(run, parent)| {
            let after = parent.map(|parent| {
                let trunk = &runs[parent].run.train;
                let steps = (trunk.total_steps() - trunk.first_step()).max(1);
                let share =
                    run.run.train.first_step().saturating_sub(trunk.first_step()) as f64 / steps as f64;
                (parent, share.min(1.0))
            });
            Some(Job { seconds: run.estimate.seconds?, after })
        })
        .collect();
    let wall_seconds = jobs.map(|jobs| wall_seconds(&jobs, slots));
    let has_branches = runs.iter().any(|run| run.run.train.first_step() > 0);
    let (kwh, money) = energy_and_money(wall_seconds, cost);
    PlanTotal {
        n_runs: runs.len(),
        flops: sum(PlannedRun::spent_c),
        flops_separate: has_branches.then(|| sum(|run| run.c)),
        tokens: sum(PlannedRun::spent_d),
        wall_seconds,
        disk_bytes: sum(|run| run.estimate.disk_bytes),
        kwh,
        money,
        currency: money.and(cost.and_then(|cost| cost.currency.clone())),
    }
}

/// One run in a schedule.
struct Job {
    seconds: f64,
    /// Place of the job that must have done this share of its own before.
    after: Option<(usize, f64)>,
}

/// When the last of these jobs ends if a slot that is free takes the first of them that can begin.
fn wall_seconds(jobs: &[Job], slots: usize) -> f64 {
    let mut free_at = vec![0.0f64; slots.max(1)];
    let mut began: Vec<Option<f64>> = vec![None; jobs.len()];
    let mut left: VecDeque<usize> = (0..jobs.len()).collect();
    while !left.is_empty() {
        let Some(slot) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) else { break };
        // When a job can begin, where that is known.
        let ready = |&idx: &usize| match jobs[idx].after {
            None => Some(0.0),
            Some((parent, share)) => began[parent].map(|began| began + share * jobs[parent].seconds),
        };
        let place = left.iter().position(|idx| ready(idx).is_some_and(|at| at <= *slot)).or_else(|| {
            // None can begin now: the slot waits for the first that can.
            let waiting = left.iter().enumerate().filter_map(|(place, idx)| Some((place, ready(idx)?)));
            waiting.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
        });
        // A job that waits for one behind itself cannot be, since trunks stand before their branches.
        let Some(idx) = left.remove(place.unwrap_or(0)) else { break };
        let begin = ready(&idx).unwrap_or(0.0).max(*slot);
        began[idx] = Some(begin);
        *slot = begin + jobs[idx].seconds;
    }
    free_at.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::device::TrainingSpeed;
    use scalelaw_schema::model::{Head, ModelShape};

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

    #[test]
    fn a_list_schedule_ends_when_its_last_slot_does() {
        // By hand: slot 1 takes 1, 3; slot 2 takes 2, 4.
        let wall = |seconds: &[f64], slots| {
            let jobs: Vec<Job> = seconds.iter().map(|&seconds| Job { seconds, after: None }).collect();
            wall_seconds(&jobs, slots)
        };
        assert_eq!(wall(&[1.0, 2.0, 3.0, 4.0], 2), 6.0);
        assert_eq!(wall(&[1.0, 2.0, 3.0, 4.0], 1), 10.0);
        assert_eq!(wall(&[1.0, 2.0], 8), 2.0);
        assert_eq!(wall(&[], 2), 0.0);
    }

    #[test]
    fn a_branch_waits_for_its_trunk_and_lets_others_go_before() {
        // A trunk of 10 whose branches can begin at 4 and 8, and another of 6 with one at 3.
        let jobs =
            [(10.0, None), (1.0, Some((0, 0.4))), (2.0, Some((0, 0.8))), (6.0, None), (1.0, Some((3, 0.5)))];
        let jobs = jobs.map(|(seconds, after)| Job { seconds, after });
        // One slot: nothing ever waits.
        assert_eq!(wall_seconds(&jobs, 1), 20.0);
        // Two: the second takes the other trunk (0 to 6), then the branches at 6 and 8 (7 idle) or 7.
        assert_eq!(wall_seconds(&jobs, 2), 10.0);
        // Five: the last branch ends at 8 + 2, the trunk at 10.
        assert_eq!(wall_seconds(&jobs, 5), 10.0);
        assert_eq!(wall_seconds(&jobs[..3], 2), 10.0);
    }

    #[test]
    fn memory_agrees_with_a_count_by_hand_and_the_micro_batch_is_halved_until_it_fits() {
        let model = ModelSpec::Transformer(ModelShape {
            n_layer: 2,
            d_model: 8,
            n_head: 2,
            d_ff: 24,
            vocab_size: 10,
            head: Head::Tied,
        });
        // Parameters: 80 + 2·(256 + 576) + 40 = 1784. Per token: 2·(128 + 120 + 32) + 24 + 40 = 624.
        assert_eq!(memory_bytes(&model, 4, 3), (1784.0 * 4.0 + 3.0 * 4.0 * 624.0) * 4.0);
        let fits = |sequences: usize| memory_bytes(&model, 4, sequences);
        assert_eq!(micro_batch(&model, 4, 10, None).0, 10);
        assert_eq!(micro_batch(&model, 4, 10, Some(fits(5))), (5, fits(5)));
        assert_eq!(micro_batch(&model, 4, 10, Some(fits(4))), (3, fits(3)));
        assert_eq!(micro_batch(&model, 4, 10, Some(1.0)), (1, fits(1)));
    }

    #[test]
    fn energy_and_money_are_told_only_where_all_they_need_is_given() {
        let cost = |watts, price_per_kwh, price_per_hour| {
            Some(CostChoice { watts, price_per_kwh, price_per_hour, currency: None })
        };
        let hour = Some(3600.0);
        for (cost, seconds, expected) in [
            (None, hour, (None, None)),
            (cost(Some(500.0), None, None), hour, (Some(0.5), None)),
            (cost(Some(500.0), Some(0.4), None), hour, (Some(0.5), Some(0.2))),
            (cost(Some(500.0), Some(0.4), Some(2.0)), hour, (Some(0.5), Some(2.2))),
            (cost(None, Some(0.4), Some(2.0)), hour, (None, None)),
            (cost(None, None, Some(2.0)), hour, (None, Some(2.0))),
            (cost(Some(500.0), Some(0.4), Some(2.0)), None, (None, None)),
        ] {
            assert_eq!(energy_and_money(seconds, cost.as_ref()), expected, "{cost:?}");
        }
    }
}
