//! Shows a sweep's progress: a message for what happens to each run, and bars where standard error is a terminal.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use scalelaw_runner::launcher::progress::{Next, Progress};
use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::run_name::readable;
use scalelaw_schema::text::{counted, duration, si};
use tracing::{Span, debug, error_span, info, trace, warn};

use crate::terminal::BARS;

/// Shows a sweep while it trains.
pub struct SweepProgress {
    runs: HashMap<RunId, Work>,
    /// Spans of the runs that are in a slot.
    spans: HashMap<RunId, Span>,
    n_runs: usize,
    n_ended: usize,
    /// FLOPs of the runs that have ended, and of those now in a slot.
    flops_total: f64,
    flops_ended: f64,
    flops_running: BTreeMap<RunId, f64>,
    /// FLOPs already done when this launch began, which tell nothing of its speed.
    flops_before: f64,
    skipped: Skipped,
    began: Instant,
    overall: ProgressBar,
    slots: BTreeMap<usize, ProgressBar>,
}

/// What must be known of a run to show how far it is.
struct Work {
    name: String,
    /// Training FLOPs of its own, those of a trunk left out.
    flops: f64,
    first_step: u64,
}

/// Steps that were skipped because their gradient was not finite. One message for the sweep: a learning rate that is
/// too high would bury all others under hundreds.
#[derive(Debug, Default)]
struct Skipped(BTreeMap<RunId, u64>);

/// Units of the overall bar: fine enough for one step of the smallest run.
const OVERALL_UNITS: u64 = 100_000;
/// How often the overall bar is drawn again, for its estimate of the time left.
const REDRAW: Duration = Duration::from_millis(500);

/// How a run ended, in a few words.
pub fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Finished => "finished".to_string(),
        Outcome::Diverged { step } => format!("diverged at step {step}"),
        Outcome::Stopped { step, why } => format!("stopped early at step {step}, {why}"),
    }
}

impl SweepProgress {
    /// `has_ended` tells which runs need no more training.
    pub fn new(runs: &[PlannedRun], has_ended: impl Fn(&RunId) -> bool) -> SweepProgress {
        let flops = |run: &PlannedRun| run.run.train.flops_spent().total();
        let flops_ended: f64 = runs.iter().filter(|run| has_ended(&run.run.id)).map(flops).sum();
        let overall = new_bar("{bar:16.cyan/dim} {wide_msg}", OVERALL_UNITS);
        if !BARS.is_hidden() {
            overall.enable_steady_tick(REDRAW);
        }
        let work = |run: &PlannedRun| {
            let train = &run.run.train;
            let work = Work { name: readable(train), flops: flops(run), first_step: train.first_step() };
            (run.run.id.clone(), work)
        };
        SweepProgress {
            runs: runs.iter().map(work).collect(),
            spans: HashMap::new(),
            n_runs: runs.len(),
            n_ended: runs.iter().filter(|run| has_ended(&run.run.id)).count(),
            flops_total: runs.iter().map(flops).sum(),
            flops_ended,
            flops_running: BTreeMap::new(),
            flops_before: flops_ended,
            skipped: Skipped::default(),
            began: Instant::now(),
            overall,
            slots: BTreeMap::new(),
        }
    }

    /// Shows what the launcher tells.
    pub fn show(&mut self, event: Progress) {
        match event {
            Progress::WorkerReady { slot, device } => debug!("slot {slot}: worker ready on {device}"),
            Progress::WorkerLeft { slot, why } => debug!("slot {slot}: worker left: {why}"),
            Progress::Started { slot, run, step, total_steps } => self.started(slot, &run, step, total_steps),
            Progress::Step { slot, run, step, loss, tokens_per_second } => {
                self.step(slot, &run, step, loss, tokens_per_second);
            }
            Progress::Checkpoint { run, step, .. } => {
                self.span(&run).in_scope(|| debug!("checkpoint at step {step}"));
            }
            Progress::Skipped { run, n_steps } => {
                self.skipped.0.insert(run.clone(), n_steps);
                self.span(&run)
                    .in_scope(|| debug!(n_steps, "steps were skipped, their gradients were not finite"));
            }
            Progress::Done { slot, run, outcome } => {
                self.clear(slot);
                self.ended(&run, &outcome, "");
            }
            Progress::DoneElsewhere { run, outcome } => self.ended(&run, &outcome, ", elsewhere"),
            Progress::Failed { slot, run, why, next, .. } => {
                self.clear(slot);
                self.flops_running.remove(&run);
                let next = match next {
                    Next::Retry { micro_batch_tokens: Some(n) } => {
                        format!("trying again with {n} tokens at once")
                    }
                    Next::Retry { micro_batch_tokens: None } => "trying again".to_string(),
                    Next::GiveUp => "given up for now".to_string(),
                };
                self.leave(&run).in_scope(|| warn!("attempt failed: {why} ({next})"));
            }
            Progress::Interrupted { slot, run } => {
                self.clear(slot);
                self.leave(&run).in_scope(|| info!("interrupted, kept up to its last checkpoint"));
            }
            Progress::Elsewhere { run, holder } => {
                let holder = holder.unwrap_or_else(|| "another launcher".to_string());
                self.span(&run).in_scope(|| debug!("trained by {holder}"));
            }
            Progress::Refused { run, why } => self.span(&run).in_scope(|| warn!("{why}")),
            Progress::Warning { text } => warn!("{text}"),
            Progress::Stopping => info!("stopping after a checkpoint of each run (Ctrl-C again quits now)"),
            Progress::Counts(_) => {}
        }
        self.draw_overall();
    }

    /// Takes the bars off the screen.
    pub fn finish(self) {
        self.slots.values().chain([&self.overall]).for_each(remove_bar);
        if let Some(text) = self.skipped.text() {
            warn!("{text}");
        }
    }

    /// The span of a run.
    fn span(&self, run: &RunId) -> Span {
        self.spans.get(run).cloned().unwrap_or_else(|| {
            let name = self.runs.get(run).map_or_else(|| run.to_string(), |work| work.name.clone());
            error_span!("run", run = %name)
        })
    }

    /// The span of a run that leaves its slot.
    fn leave(&mut self, run: &RunId) -> Span {
        self.spans.remove(run).unwrap_or_else(|| self.span(run))
    }

    fn started(&mut self, slot: usize, run: &RunId, step: u64, total_steps: u64) {
        let span = self.span(run);
        let from = if step > 0 { format!(", from step {step}") } else { String::new() };
        // A bar that appears says the same.
        span.in_scope(|| match BARS.is_hidden() {
            true => info!("started ({total_steps} steps{from})"),
            false => debug!("started ({total_steps} steps{from})"),
        });
        self.spans.insert(run.clone(), span);
        let bar = self
            .slots
            .entry(slot)
            .or_insert_with(|| new_bar("{bar:16.green/dim} {prefix} {pos}/{len} {wide_msg}", total_steps));
        bar.set_length(total_steps);
        bar.set_position(step);
        bar.set_prefix(self.runs.get(run).map_or_else(|| run.to_string(), |work| work.name.clone()));
        bar.set_message("");
    }

    fn step(&mut self, slot: usize, run: &RunId, step: u64, loss: f64, tokens_per_second: f64) {
        self.span(run).in_scope(|| trace!(step, loss, tokens_per_second, "step"));
        let Some(bar) = self.slots.get(&slot) else { return };
        bar.set_position(step);
        bar.set_message(format!("loss {loss:.3}  {} tokens/s", si(tokens_per_second)));
        if let (Some(work), Some(total)) = (self.runs.get(run), bar.length()) {
            let (taken, own) = (step.saturating_sub(work.first_step), total.saturating_sub(work.first_step));
            self.flops_running.insert(run.clone(), work.flops * taken as f64 / own.max(1) as f64);
        }
    }

    fn clear(&mut self, slot: usize) {
        if let Some(bar) = self.slots.remove(&slot) {
            remove_bar(&bar);
        }
    }

    fn ended(&mut self, run: &RunId, outcome: &Outcome, elsewhere: &str) {
        self.flops_running.remove(run);
        self.flops_ended += self.runs.get(run).map_or(0.0, |work| work.flops);
        self.n_ended += 1;
        let (how, progress) = (outcome_text(outcome), self.text());
        self.leave(run).in_scope(|| info!("{how}{elsewhere} ({progress})"));
    }

    fn flops_done(&self) -> f64 {
        self.flops_ended + self.flops_running.values().sum::<f64>()
    }

    /// Seconds to go at the rate of this launch, once it has one.
    fn eta(&self) -> Option<f64> {
        let done = self.flops_done() - self.flops_before;
        let left = self.flops_total - self.flops_done();
        (done > 0.0 && left > 0.0).then(|| self.began.elapsed().as_secs_f64() / done * left)
    }

    /// `3 of 8 runs, about 2m left`.
    fn text(&self) -> String {
        let eta = self.eta().map_or(String::new(), |eta| format!(", about {} left", duration(eta)));
        format!("{} of {} runs{eta}", self.n_ended, self.n_runs)
    }

    fn draw_overall(&self) {
        let share = if self.flops_total > 0.0 { self.flops_done() / self.flops_total } else { 1.0 };
        self.overall.set_position((share * OVERALL_UNITS as f64) as u64);
        self.overall.set_message(self.text());
    }
}

/// A bar below all others.
pub fn new_bar(template: &str, length: u64) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(length));
    bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
    bar
}

/// Takes a bar off the screen.
pub fn remove_bar(bar: &ProgressBar) {
    bar.finish_and_clear();
    BARS.remove(bar);
}

impl Skipped {
    fn text(&self) -> Option<String> {
        let n_steps: u64 = self.0.values().sum();
        let runs = counted(self.0.len(), "run");
        (n_steps > 0).then(|| {
            format!(
                "{n_steps} steps of {runs} were skipped because their gradients were not finite (`log.txt` of a run lists its own)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_steps_of_a_sweep_are_one_message() {
        let mut skipped = Skipped::default();
        assert_eq!(skipped.text(), None);
        let mut add = |run: u64, n_steps| {
            skipped.0.insert(format!("{run:012x}").parse().unwrap(), n_steps);
            skipped.text().unwrap()
        };
        assert!(add(0, 12).starts_with("12 steps of 1 run were skipped"));
        // A run that is tried again counts once.
        let texts = [(0, 12), (1, 12), (2, 11), (3, 10), (4, 12), (5, 12)].map(|(run, n)| add(run, n));
        assert!(texts[5].starts_with("69 steps of 6 runs were skipped"), "{texts:?}");
    }
}
