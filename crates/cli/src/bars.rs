//! The runner's news for a person: bars on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use scalelaw_report::text::duration;
use scalelaw_runner::launcher::progress::{Next, Progress};
use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::run_name::readable;

use crate::say::Say;

/// Shows a sweep while it trains.
pub struct Bars {
    say: Say,
    runs: HashMap<RunId, Shown>,
    n_runs: usize,
    n_over: usize,
    /// FLOPs of the completed runs, and of those now in a slot.
    flops_total: f64,
    flops_over: f64,
    flops_running: BTreeMap<RunId, f64>,
    /// FLOPs already done when this launch began, which tell nothing of its speed.
    flops_before: f64,
    began: Instant,
    screen: Option<Screen>,
}

/// What is told of a run.
struct Shown {
    name: String,
    /// Training FLOPs of its own, those of a trunk left out.
    flops: f64,
    first_step: u64,
}

struct Screen {
    all: MultiProgress,
    overall: ProgressBar,
    slots: BTreeMap<usize, ProgressBar>,
}

/// Units of the overall bar: fine enough for one step of the smallest run.
const OVERALL_UNITS: u64 = 100_000;

impl Bars {
    /// `is_over` says which runs need no training any more.
    pub fn new(say: Say, runs: &[PlannedRun], is_over: impl Fn(&RunId) -> bool) -> Bars {
        let flops = |run: &PlannedRun| run.run.train.flops_spent().total();
        let flops_over: f64 = runs.iter().filter(|run| is_over(&run.run.id)).map(flops).sum();
        let screen = say.has_bars().then(|| {
            let all = MultiProgress::new();
            let overall = all.add(ProgressBar::new(OVERALL_UNITS));
            let style = ProgressStyle::with_template("{bar:24.cyan/dim} {msg}").expect("a fixed template");
            overall.set_style(style);
            overall.enable_steady_tick(Duration::from_millis(500));
            Screen { all, overall, slots: BTreeMap::new() }
        });
        Bars {
            say,
            runs: runs
                .iter()
                .map(|run| {
                    let (train, flops) = (&run.run.train, flops(run));
                    (
                        run.run.id.clone(),
                        Shown { name: readable(train), flops, first_step: train.first_step() },
                    )
                })
                .collect(),
            n_runs: runs.len(),
            n_over: runs.iter().filter(|run| is_over(&run.run.id)).count(),
            flops_total: runs.iter().map(flops).sum(),
            flops_over,
            flops_running: BTreeMap::new(),
            flops_before: flops_over,
            began: Instant::now(),
            screen,
        }
    }

    /// One piece of news.
    pub fn show(&mut self, news: Progress) {
        match news {
            Progress::WorkerReady { slot, device } => self.say.detail(&format!("slot {slot}: {device}")),
            Progress::WorkerLeft { slot, why } => {
                self.say.detail(&format!("slot {slot}: worker left: {why}"))
            }
            Progress::Started { slot, run, step, total_steps } => self.started(slot, &run, step, total_steps),
            Progress::Step { slot, run, step, loss, tokens_per_second } => {
                self.step(slot, &run, step, loss, tokens_per_second);
            }
            Progress::Done { slot, run, outcome } => {
                self.clear(slot);
                self.over(&run, &outcome, "");
            }
            Progress::DoneElsewhere { run, outcome } => self.over(&run, &outcome, ", elsewhere"),
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
                self.line(&format!("{}: failed: {why} ({next})", self.name(&run)));
            }
            Progress::Interrupted { slot, run } => {
                self.clear(slot);
                self.line(&format!("{}: interrupted, kept up to its last checkpoint", self.name(&run)));
            }
            Progress::Elsewhere { run, holder } => {
                let holder = holder.unwrap_or_else(|| "another launcher".to_string());
                self.say.detail(&format!("{}: trained by {holder}", self.name(&run)));
            }
            Progress::Refused { run, why } => self.line(&format!("{}: {why}", self.name(&run))),
            Progress::Warning { text } => self.line(&format!("warning: {text}")),
            Progress::Stopping => {
                self.line("stopping: each run writes a checkpoint first (once more to leave at once)");
            }
            Progress::Counts(_) | Progress::Checkpoint { .. } => {}
        }
        self.overall();
    }

    /// Takes the bars off the screen.
    pub fn finish(self) {
        if let Some(screen) = self.screen {
            screen.overall.finish_and_clear();
        }
    }

    fn name(&self, run: &RunId) -> String {
        self.runs.get(run).map_or_else(|| run.to_string(), |run| run.name.clone())
    }

    fn line(&self, text: &str) {
        match &self.screen {
            // Above the bars; where the terminal is gone there is nobody to tell.
            Some(screen) => drop(screen.all.println(text)),
            None => self.say.line(text),
        }
    }

    fn started(&mut self, slot: usize, run: &RunId, step: u64, total_steps: u64) {
        let name = self.name(run);
        let Some(screen) = &mut self.screen else {
            let from = if step > 0 { format!(", from step {step}") } else { String::new() };
            self.say.line(&format!("{name}: started ({total_steps} steps{from})"));
            return;
        };
        let bar = screen.slots.entry(slot).or_insert_with(|| screen.all.add(ProgressBar::no_length()));
        bar.set_length(total_steps);
        bar.set_position(step);
        bar.set_style(
            ProgressStyle::with_template("{bar:24.green/dim} {prefix} {pos}/{len} {msg}")
                .expect("a fixed template"),
        );
        bar.set_prefix(name);
        bar.set_message("");
    }

    fn step(&mut self, slot: usize, run: &RunId, step: u64, loss: f64, tokens_per_second: f64) {
        if let Some(bar) = self.screen.as_ref().and_then(|screen| screen.slots.get(&slot)) {
            bar.set_position(step);
            bar.set_message(format!(
                "loss {loss:.3}  {} tokens/s",
                scalelaw_schema::text::si(tokens_per_second)
            ));
            if let (Some(shown), Some(total)) = (self.runs.get(run), bar.length()) {
                let (taken, own) =
                    (step.saturating_sub(shown.first_step), total.saturating_sub(shown.first_step));
                self.flops_running.insert(run.clone(), shown.flops * taken as f64 / own.max(1) as f64);
            }
        }
    }

    fn clear(&mut self, slot: usize) {
        if let Some(bar) = self.screen.as_mut().and_then(|screen| screen.slots.remove(&slot)) {
            bar.finish_and_clear();
        }
    }

    fn over(&mut self, run: &RunId, outcome: &Outcome, elsewhere: &str) {
        self.flops_running.remove(run);
        self.flops_over += self.runs.get(run).map_or(0.0, |run| run.flops);
        self.n_over += 1;
        let how = match outcome {
            Outcome::Finished => "finished".to_string(),
            Outcome::Diverged { step } => format!("diverged at step {step}"),
            Outcome::Stopped { step, why } => format!("stopped early at step {step}, {why}"),
        };
        let eta = self.eta().map_or(String::new(), |eta| format!(", about {} to go", duration(eta)));
        self.line(&format!("{}: {how}{elsewhere} ({} of {}{eta})", self.name(run), self.n_over, self.n_runs));
    }

    fn flops_done(&self) -> f64 {
        self.flops_over + self.flops_running.values().sum::<f64>()
    }

    /// Seconds to go at the rate of this launch, once it has one.
    fn eta(&self) -> Option<f64> {
        let done = self.flops_done() - self.flops_before;
        let left = self.flops_total - self.flops_done();
        (done > 0.0 && left > 0.0).then(|| self.began.elapsed().as_secs_f64() / done * left)
    }

    fn overall(&self) {
        if let Some(screen) = &self.screen {
            let share = if self.flops_total > 0.0 { self.flops_done() / self.flops_total } else { 1.0 };
            screen.overall.set_position((share * OVERALL_UNITS as f64) as u64);
            let eta = self.eta().map_or(String::new(), |eta| format!(", about {} to go", duration(eta)));
            screen.overall.set_message(format!("{} of {} runs{eta}", self.n_over, self.n_runs));
        }
    }
}
