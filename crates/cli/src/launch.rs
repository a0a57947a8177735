//! A sweep on this machine: planned from its file, checked, and trained stage by stage.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use scalelaw_fit::parse_law_with_params;
use scalelaw_plan::cost::limits::check_limits;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_report::{terminal, text};
use scalelaw_runner::folder::ended_runs;
use scalelaw_runner::folder::lease::HEARTBEAT;
use scalelaw_runner::folder::trunk::remove_unneeded;
use scalelaw_runner::launcher::outstanding::outstanding;
use scalelaw_runner::launcher::progress::Summary;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, MAX_ATTEMPTS, WorkerCommand, run_all};
use scalelaw_schema::folder;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::CenterChoice;
use scalelaw_schema::text::counted;
use tracing::{debug, info, warn};

use crate::args::{RunArgs, Shared};
use crate::corpora::Corpora;
use crate::facts;
use crate::learning_rate;
use crate::paths;
use crate::progress::SweepProgress;
use crate::speed::{self, Placement};
use crate::sweep_file::{SweepFile, expand};

/// Below this many FLOPs a sweep ends before a measurement of the device would have paid.
const WORTH_MEASURING_FLOPS: f64 = 1e12;

/// A sweep with its plan for this machine.
pub struct PlannedSweep<'a> {
    /// The sweep as written.
    pub file: SweepFile,
    /// Where its run folders are.
    pub dir: PathBuf,
    /// Its runs; those of later stages are provisional.
    pub plan: Plan,
    shared: &'a Shared,
    args: &'a RunArgs,
    corpora: Corpora,
    placement: Placement,
    facts: PlanFacts,
}

impl<'a> PlannedSweep<'a> {
    /// Opens what the sweep names, chooses the device and plans the runs. Measures and trains nothing.
    pub fn open(shared: &'a Shared, args: &'a RunArgs, file: SweepFile) -> Result<PlannedSweep<'a>> {
        if let Some(law) = &args.simulate {
            parse_law_with_params(law)?;
        }
        let dir = shared.runs.join(&file.name);
        let corpora = Corpora::open(&file, &paths::cache(shared)?)?;
        let mut placement = match args.simulate {
            Some(_) => Placement::for_simulation()?,
            None => Placement::choose(&args.device)?,
        };
        let mut facts = facts::gather(&corpora, &placement, &dir)?;
        facts.lr_rule = learning_rate::named_rule(&file)?;
        let plan = placement.plan(&file, &mut facts)?;
        Ok(PlannedSweep { file, dir, plan, shared, args, corpora, placement, facts })
    }

    /// Whether every planned run has ended.
    pub fn is_complete(&self) -> bool {
        !self.plan.runs.is_empty() && outstanding(&self.plan.runs, &self.facts.over).is_empty()
    }

    /// Measures the device's speed where the sweep is long or limited enough, and plans with it.
    pub fn measure_speed(&mut self) -> Result<()> {
        if let Some(note) = &self.placement.note {
            info!("{note}");
        }
        let limits = self.file.spec.limits.clone().unwrap_or_default();
        let is_limited = limits.hours.is_some() || limits.kwh.is_some() || limits.money.is_some();
        let is_worth_it = is_limited || self.plan.total.flops > WORTH_MEASURING_FLOPS;
        if self.is_simulated() || !is_worth_it {
            return Ok(());
        }
        self.facts.speed = Some(speed::measured(&self.placement, &paths::cache(self.shared)?)?);
        self.plan = expand(&self.file, &self.facts)?;
        Ok(())
    }

    /// Checks the device and the sweep's limits, and shows the plan's warnings.
    ///
    /// # Errors
    /// A precision that the device lacks, or a limit that the plan exceeds.
    pub fn check(&self) -> Result<()> {
        if !self.is_simulated() {
            for planned in &self.plan.runs {
                scalelaw_train::check_precision(&self.placement.report, planned.run.train.recipe.precision)?;
            }
        }
        check_limits(&self.file.spec, &self.plan.total)?;
        for warning in &self.plan.warnings {
            warn!("{warning}");
        }
        Ok(())
    }

    /// Trains the remaining runs. The budgets of a grid centred by fits are stages: each is planned from those before
    /// it.
    pub fn train(&mut self, stop: &Stop) -> Result<Summary> {
        self.announce();
        std::fs::create_dir_all(&self.dir).with_context(|| {
            format!(
                "cannot create the folder `{}` (hint: `--runs DIR` names another place)",
                self.dir.display()
            )
        })?;
        scalelaw_disk::write(&self.dir.join(folder::SWEEP_TOML), self.file.layers.to_toml().as_bytes())?;
        let n_stages = if self.is_staged() { self.plan.budgets.len() } else { 1 };
        let mut all = Summary::default();
        for stage in 0..n_stages {
            if stage > 0 {
                self.recenter(stage)?;
            }
            scalelaw_disk::write(&self.dir.join(folder::PLAN_JSON), &serde_json::to_vec_pretty(&self.plan)?)?;
            let summary = self.train_stage(stage, stop)?;
            all.failed.extend(summary.failed);
            all.interrupted |= summary.interrupted;
            if all.interrupted {
                break;
            }
        }
        Ok(all)
    }

    fn announce(&self) {
        let total = &self.plan.total;
        let time = total.wall_seconds.map_or(String::new(), |s| format!(", about {}", text::duration(s)));
        let at_once = match self.placement.slots {
            1 => String::new(),
            slots => format!(", {slots} at once"),
        };
        let runs = counted(total.n_runs, "run");
        info!("{}: {runs}, {:.2e} FLOPs{time}{at_once}", self.file.name, total.flops);
    }

    fn train_stage(&mut self, stage: usize, stop: &Stop) -> Result<Summary> {
        let (runs, ended) = (self.runs_of_stage(stage), ended_runs(&self.dir)?);
        let left = outstanding(&runs, &ended);
        if left.is_empty() {
            debug!("there is nothing left to train");
            return Ok(Summary::default());
        }
        if !self.is_simulated() {
            self.corpora.ensure(&self.plan)?;
        }
        // The last few runs of a sweep have all cores.
        let packing = self.placement.pack(left.iter().copied());
        debug!("at once: {}", terminal::plan::at_once(&packing));
        let launch = Launch {
            sweep_dir: &self.dir,
            slots: self.placement.slots,
            worker: self.worker_command()?,
            memory_limit_bytes: self.args.worker_memory,
            max_attempts: MAX_ATTEMPTS,
            heartbeat: HEARTBEAT,
        };
        let still_to_run: BTreeSet<&RunId> = left.iter().map(|run| &run.id).collect();
        let mut progress = SweepProgress::new(&self.plan.runs, |run| !still_to_run.contains(run));
        let summary = run_all(&left, &launch, stop, &mut |event| progress.show(event));
        progress.finish();
        let planned: Vec<&RunSpec> = self.plan.runs.iter().map(|planned| &planned.run).collect();
        remove_unneeded(&self.dir, &planned)?;
        Ok(summary?)
    }

    /// All runs, or those of one budget and of the budgets before it.
    fn runs_of_stage(&self, stage: usize) -> Vec<PlannedRun> {
        let limit = if self.is_staged() { self.plan.budgets[stage].flops } else { f64::INFINITY };
        let is_due = |budget: f64| budget <= limit;
        let runs = self.plan.runs.iter();
        runs.filter(|planned| planned.run.cell.budget_flops.is_none_or(is_due)).cloned().collect()
    }

    /// Plans the budget of this stage around what the budgets before it show.
    fn recenter(&mut self, stage: usize) -> Result<()> {
        facts::read_folders(&mut self.facts, &self.dir)?;
        self.facts.frozen = Some(self.plan.clone());
        let collected = scalelaw_results::collect(&self.dir)?;
        let table = collected.loss_table(self.plan.count_rule, &LossColumn::Mean, &self.file.name)?.table;
        let budget = self.plan.budgets[stage].flops;
        match scalelaw_findings::center_of_next_budget(&table, budget) {
            Some(n) => {
                debug!("budget {budget:.2e}: centred on N = {n:.3e}, from the budgets below it");
                self.facts.centers.insert(stage, n);
            }
            None => debug!("budget {budget:.2e}: no minimum below it yet, centred on the prior"),
        }
        self.plan = expand(&self.file, &self.facts)?;
        Ok(())
    }

    /// How workers are started: this program again.
    fn worker_command(&self) -> Result<WorkerCommand> {
        let mut words: Vec<std::ffi::OsString> = vec!["worker".into()];
        words.extend(["--device".into(), self.placement.device.to_string().into()]);
        words.extend(["--threads".into(), self.placement.threads.to_string().into()]);
        words.extend(["--cache".into(), paths::cache(self.shared)?.into()]);
        words.extend(self.shared.log_flags());
        if let Some(speed) = &self.facts.speed {
            words.extend(["--matmul-peak".into(), speed.matmul_flops_per_second.to_string().into()]);
        }
        if let Some(law) = &self.args.simulate {
            words.extend(["--simulate".into(), law.into()]);
            words.extend(["--count-rule".into(), self.plan.count_rule.name().into()]);
        }
        let env = self.placement.worker_env().into_iter();
        Ok(WorkerCommand {
            program: std::env::current_exe().context("cannot find this program's own file")?,
            args: words,
            env: env.map(|(name, value)| (name.into(), value.into())).collect(),
        })
    }

    fn is_simulated(&self) -> bool {
        self.args.simulate.is_some()
    }

    /// Whether budgets must wait for the smaller ones to complete.
    fn is_staged(&self) -> bool {
        self.file.spec.grid.center() == Some(CenterChoice::Fit)
    }
}
