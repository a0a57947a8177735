//! `scalelaw run`: trains what a sweep still lacks, fits it, writes the report.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use scalelaw_fit::isoflop::Draws;
use scalelaw_fit::parse_law_with_params;
use scalelaw_plan::cost::limits::check_limits;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_runner::folder::ended_runs;
use scalelaw_runner::folder::lease::HEARTBEAT;
use scalelaw_runner::folder::trunk::remove_unneeded;
use scalelaw_runner::launcher::outstanding::outstanding;
use scalelaw_runner::launcher::progress::Summary;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, MAX_ATTEMPTS, WorkerCommand, run_all};
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::CenterChoice;
use scalelaw_schema::text::counted;
use scalelaw_schema::{LEVEL, folder};

use crate::args::{RunArgs, Shared};
use crate::bars::Bars;
use crate::conclude::{conclude, current_text};
use crate::corpora::Corpora;
use crate::exit;
use crate::facts;
use crate::learning_rate;
use crate::paths;
use crate::say::Say;
use crate::speed::{self, Placement};
use crate::sweep_file::{self, SweepFile, expand};
use crate::verbs::plan::width;

/// Asked by Ctrl-C and by a request to end.
static STOP: Stop = Stop::new();

/// Draws of noise by which the minima of the smaller budgets are weighed.
const CENTER_DRAWS: usize = 200;

/// Below this many FLOPs a sweep is over before a measurement of the device would have paid.
const WORTH_MEASURING_FLOPS: f64 = 1e12;

pub fn run(shared: &Shared, say: Say, args: &RunArgs) -> Result<u8> {
    let mut sweep = sweep_file::load(&args.sweep.sweep, &args.sweep.overrides)?;
    if let Some(law) = &args.simulate {
        parse_law_with_params(law)?;
        // Drawn losses never lie beside trained ones.
        sweep.name = format!("{}-simulated", sweep.name);
    }
    let cache = paths::cache(shared)?;
    let sweep_dir = shared.runs.join(&sweep.name);
    let corpora = Corpora::open(&sweep, &cache, say)?;
    let mut placement = match &args.simulate {
        Some(_) => Placement::for_simulation()?,
        None => Placement::choose(&args.device)?,
    };
    let mut facts = facts::gather(&corpora, &placement, &sweep_dir)?;
    facts.lr_rule = learning_rate::named_rule(&sweep)?;
    let mut plan = placement.plan(&sweep, &mut facts)?;

    let is_complete = !plan.runs.is_empty() && outstanding(&plan.runs, &facts.over).is_empty();
    if is_complete
        && !args.dry_run
        && let Some(text) = current_text(&sweep_dir, &plan, width())
    {
        say.line(&format!("all {} runs of `{}` are over", plan.runs.len(), sweep.name));
        finish(&sweep_dir, &text)?;
        return Ok(exit::OK);
    }

    if let Some(note) = &placement.note {
        say.line(note);
    }
    if args.simulate.is_none() && is_worth_measuring(&sweep, &plan) {
        facts.speed = Some(speed::measured(&placement, &cache, say)?);
        plan = expand(&sweep, &facts)?;
    }
    if args.simulate.is_none() {
        for planned in &plan.runs {
            scalelaw_train::check_precision(&placement.report, planned.run.train.recipe.precision)?;
        }
    }
    check_limits(&sweep.spec, &plan.total)?;
    for warning in &plan.warnings {
        say.warn(warning);
    }
    if args.dry_run {
        write!(anstream::stdout(), "{}", scalelaw_report::terminal::plan::plan(&plan, width()))?;
        return Ok(exit::OK);
    }
    let total = &plan.total;
    let time = total
        .wall_seconds
        .map_or(String::new(), |s| format!(", about {}", scalelaw_report::text::duration(s)));
    let at_once = if placement.slots > 1 { format!(", {} at once", placement.slots) } else { String::new() };
    say.line(&format!(
        "{}: {}, {:.2e} FLOPs{time}{at_once}",
        sweep.name,
        counted(total.n_runs, "run"),
        total.flops
    ));

    // A second Ctrl-C is not waited for by anybody.
    ctrlc::set_handler(|| STOP.request()).context("cannot listen for Ctrl-C")?;
    std::fs::create_dir_all(&sweep_dir).with_context(|| {
        format!("cannot create the folder `{}` (hint: `--runs DIR` names another place)", sweep_dir.display())
    })?;
    scalelaw_disk::write(&sweep_dir.join(folder::SWEEP_TOML), sweep.layers.to_toml().as_bytes())?;

    let mut all = Summary::default();
    let mut has_trained = false;
    for stage in 0..n_stages(&sweep, &plan) {
        if stage > 0 {
            recenter(&sweep, &sweep_dir, &mut facts, &plan, stage, say)?;
            plan = expand(&sweep, &facts)?;
        }
        scalelaw_disk::write(&sweep_dir.join(folder::PLAN_JSON), &serde_json::to_vec_pretty(&plan)?)?;
        let done = ended_runs(&sweep_dir)?;
        let runs = runs_of_stage(&sweep, &plan, stage);
        let left = outstanding(&runs, &done);
        if left.is_empty() {
            continue;
        }
        has_trained = true;
        if args.simulate.is_none() {
            corpora.ensure(&plan, say)?;
        }
        // The last few runs of a sweep have all cores.
        let packing = placement.pack(left.iter().copied());
        say.detail(&format!("at once: {}", scalelaw_report::terminal::plan::at_once(&packing)));
        let launch = Launch {
            sweep_dir: &sweep_dir,
            slots: placement.slots,
            worker: worker_command(&cache, args, &placement, &plan, &facts)?,
            memory_limit_bytes: args.worker_memory,
            max_attempts: MAX_ATTEMPTS,
            heartbeat: HEARTBEAT,
        };
        let still_to_run: BTreeSet<&RunId> = left.iter().map(|run| &run.id).collect();
        let mut bars = Bars::new(say, &plan.runs, |run| !still_to_run.contains(run));
        let summary = run_all(&left, &launch, &STOP, &mut |news| bars.show(news));
        bars.finish();
        let planned: Vec<&RunSpec> = plan.runs.iter().map(|planned| &planned.run).collect();
        remove_unneeded(&sweep_dir, &planned)?;
        let summary = summary?;
        all.failed.extend(summary.failed);
        all.interrupted |= summary.interrupted;
        if all.interrupted {
            say.line(&format!(
                "interrupted; `scalelaw run {}` goes on from here",
                args.sweep.sweep.display()
            ));
            return Ok(exit::INTERRUPTED);
        }
    }

    say.detail(if has_trained { "all runs are over" } else { "nothing was left to train" });
    let concluded = conclude(&sweep_dir, plan, say)?;
    concluded.write(&sweep_dir)?;
    finish(&sweep_dir, &concluded.text(width()))?;
    for failed in &all.failed {
        say.warn(&format!("{} failed: {}", failed.folder, failed.why));
    }
    if all.failed.is_empty() { Ok(exit::OK) } else { Ok(exit::SOME_RUNS_FAILED) }
}

/// The law and where the report lies.
fn finish(sweep_dir: &Path, verdict: &str) -> Result<()> {
    let page = sweep_dir.join(folder::REPORT_HTML);
    writeln!(anstream::stdout(), "{verdict}\nreport: {}", page.display())?;
    Ok(())
}

fn is_worth_measuring(sweep: &SweepFile, plan: &Plan) -> bool {
    let limits = sweep.spec.limits.clone().unwrap_or_default();
    let is_limited = limits.hours.is_some() || limits.kwh.is_some() || limits.money.is_some();
    is_limited || plan.total.flops > WORTH_MEASURING_FLOPS
}

/// Budgets that must wait for the smaller ones to be over.
fn is_staged(sweep: &SweepFile) -> bool {
    sweep.spec.grid.center() == Some(CenterChoice::Fit)
}

fn n_stages(sweep: &SweepFile, plan: &Plan) -> usize {
    if is_staged(sweep) { plan.budgets.len() } else { 1 }
}

/// All runs, or those of one budget and of the budgets before it.
fn runs_of_stage(sweep: &SweepFile, plan: &Plan, stage: usize) -> Vec<PlannedRun> {
    let limit = if is_staged(sweep) { plan.budgets[stage].flops } else { f64::INFINITY };
    plan.runs
        .iter()
        .filter(|planned| planned.run.cell.budget_flops.is_none_or(|budget| budget <= limit))
        .cloned()
        .collect()
}

/// Centres the budget of this stage on what the budgets before it show.
fn recenter(
    sweep: &SweepFile,
    sweep_dir: &Path,
    facts: &mut PlanFacts,
    plan: &Plan,
    stage: usize,
    say: Say,
) -> Result<()> {
    facts::read_folders(facts, sweep_dir)?;
    facts.frozen = Some(plan.clone());
    let collected = scalelaw_results::collect(sweep_dir)?;
    let table = collected.loss_table(plan.count_rule, &LossColumn::Mean, &sweep.name)?.table;
    let budget = plan.budgets[stage].flops;
    let center = scalelaw_fit::isoflop::approach2(&table, Draws { n: CENTER_DRAWS, seed: 0, level: LEVEL })
        .and_then(|approach2| scalelaw_findings::center_of_next_budget(&approach2, budget));
    match center {
        Some(n) => {
            say.detail(&format!("budget {budget:.2e}: centred on N = {n:.3e}, from the budgets below it"));
            facts.centers.insert(stage, n);
        }
        None => say.detail(&format!("budget {budget:.2e}: no minimum below it yet, centred on the prior")),
    }
    Ok(())
}

/// How workers are started: this program again.
fn worker_command(
    cache: &Path,
    args: &RunArgs,
    placement: &Placement,
    plan: &Plan,
    facts: &PlanFacts,
) -> Result<WorkerCommand> {
    let mut words: Vec<std::ffi::OsString> = vec!["worker".into()];
    words.extend(["--device".into(), placement.device.to_string().into()]);
    words.extend(["--threads".into(), placement.threads.to_string().into()]);
    words.extend(["--cache".into(), cache.into()]);
    if let Some(speed) = &facts.speed {
        words.extend(["--matmul-peak".into(), speed.matmul_flops_per_second.to_string().into()]);
    }
    if let Some(law) = &args.simulate {
        words.extend(["--simulate".into(), law.into(), "--count-rule".into(), plan.count_rule.name().into()]);
    }
    Ok(WorkerCommand {
        program: std::env::current_exe().context("cannot find this program's own file")?,
        args: words,
        env: placement.worker_env().into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
    })
}
