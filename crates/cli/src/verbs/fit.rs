//! `scalelaw fit`: a law for a sweep or for a table.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow};
use scalelaw_findings::learning_rate::{self, LrConclusion};
use scalelaw_findings::skill_findings;
use scalelaw_findings::skills::SkillSpec;
use scalelaw_findings::{SkillAsk, Verdict};
use scalelaw_fit::{FitError, FitSpec, LawChoice, Objective, PredictAt};
use scalelaw_report::{SkillReport, terminal};
use scalelaw_results::{Collected, ColumnNames, NotedTable};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::SkillTarget;
use tracing::warn;

use crate::args::{FitArgs, Shared};
use crate::conclude::{self, of_usage, timed_fit};
use crate::exit::UsageError;
use crate::facts::read_plan;
use crate::paths;
use crate::terminal::width;

pub fn fit(shared: &Shared, args: &FitArgs) -> Result<()> {
    if args.skill {
        return skills(shared, args);
    }
    if args.every_count {
        return every_count(shared, args);
    }
    if let Some(conclusion) = learning_rates(shared, args)? {
        let mut stdout = anstream::stdout().lock();
        if args.json {
            writeln!(stdout, "{}", serde_json::to_string_pretty(&conclusion)?)?;
        } else {
            write!(stdout, "{}", terminal::learning_rate::text(&conclusion, width()))?;
        }
        return Ok(());
    }
    let noted = read(shared, args)?;
    for note in &noted.notes {
        warn!("{note}");
    }
    let mut stdout = anstream::stdout().lock();
    match timed_fit(&noted.table, &spec_of(args)?)? {
        Verdict::Fitted(conclusion) if args.json => {
            writeln!(stdout, "{}", serde_json::to_string_pretty(&conclusion)?)?;
        }
        Verdict::Fitted(conclusion) => {
            write!(stdout, "{}", terminal::scaling::text(Ok(&conclusion), width()))?;
        }
        Verdict::Refused { why, settle } => return Err(FitError::Refused { why, settle }.into()),
    }
    Ok(())
}

fn spec_of(args: &FitArgs) -> Result<FitSpec> {
    Ok(FitSpec {
        law: LawChoice::parse(&args.law),
        objective: Objective::parse(&args.objective).map_err(|error| UsageError(error.to_string()))?,
        bootstrap: args.bootstrap.unwrap_or(FitSpec::new().bootstrap),
        seed: args.seed,
        level: scalelaw_schema::LEVEL,
        holdout_compute: args.holdout_compute,
        predict: args.predict.iter().map(|point| parse_point(point)).collect::<Result<_>>()?,
    })
}

/// The same rows under every way of counting: how the exponents of Kaplan and of Hoffmann are reconciled.
fn every_count(shared: &Shared, args: &FitArgs) -> Result<()> {
    let tables: Vec<_> = CountRule::ALL
        .into_iter()
        .map(|rule| read_sweep(shared, &args.table, args, Some(rule)).map(|noted| noted.table))
        .collect::<Result<_>>()?;
    let exponents = scalelaw_fit::exponents_by_count(&tables, &spec_of(args)?)?;
    let mut stdout = anstream::stdout().lock();
    if args.json {
        let value = serde_json::json!({ "schema_version": SCHEMA_VERSION, "exponents": exponents });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    write!(stdout, "{}", terminal::comparison::by_count_rule(&exponents, width()))?;
    Ok(())
}

/// What the runs of a sweep say of their skills.
fn skills(shared: &Shared, args: &FitArgs) -> Result<()> {
    if is_table(&args.table) {
        return Err(UsageError("`--skill` takes a sweep, not a table".to_string()).into());
    }
    let (plan, collected) = open_sweep(shared, &args.table, args)?;
    for note in &collected.notes {
        warn!("{note}");
    }
    let (name, rule) = (plan.sweep.clone(), args.count_rule.unwrap_or(plan.count_rule));
    let aggregate = args.aggregate.as_deref().map_or(LossColumn::Mean, |name| text_column(name, &collected));
    let evidence = conclude::evidence(plan, &collected, rule, aggregate)?;
    let ask = SkillAsk {
        targets: args.target.iter().map(|target| parse_target(target)).collect::<Result<_>>()?,
        validation: args.validation,
        spec: SkillSpec {
            seed: args.seed,
            draws: args.bootstrap.unwrap_or(SkillSpec::new().draws),
            ..SkillSpec::new()
        },
    };
    let Some(findings) = skill_findings::answer(&evidence, &ask).map_err(of_usage)? else {
        let why = match collected.rows.len() {
            0 => "none of its runs has ended".to_string(),
            1 => "its run was not evaluated on a skill".to_string(),
            n => format!("none of its {n} runs was evaluated on a skill"),
        };
        let settle = format!(
            "name skills under `[measure]`, or evaluate the existing runs with `scalelaw eval {} --skill NAME`",
            args.table.display()
        );
        return Err(FitError::Refused { why: format!("`{name}`: {why}"), settle: vec![settle] }.into());
    };
    let mut stdout = anstream::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&findings)?)?;
    } else {
        write!(stdout, "{}", terminal::skills::text(&SkillReport::of(&findings), width()))?;
    }
    Ok(())
}

/// The column of a text: a skill by its name alone, else what [`LossColumn`] reads.
fn text_column(name: &str, collected: &Collected) -> LossColumn {
    let skill = LossColumn::Skill(name.to_string());
    match scalelaw_results::texts(&collected.rows).contains(&skill) {
        true => skill,
        false => column(name),
    }
}

fn column(name: &str) -> LossColumn {
    name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}

/// `mano=nll:0.5` or `mano=accuracy:0.9`.
fn parse_target(text: &str) -> Result<(String, SkillTarget)> {
    let bad = || {
        UsageError(format!("`--target {text}` is not a target (hint: `NAME=nll:0.5` or `NAME=accuracy:0.9`)"))
    };
    let (skill, goal) = text.rsplit_once('=').ok_or_else(bad)?;
    let (measure, value) = goal.split_once(':').ok_or_else(bad)?;
    let value: f64 = value.trim().parse().map_err(|_| bad())?;
    let goal = match measure.trim() {
        "nll" if value > 0.0 && value.is_finite() => SkillTarget::Nll(value),
        "accuracy" if value > 0.0 && value <= 1.0 => SkillTarget::Accuracy(value),
        _ => return Err(bad().into()),
    };
    Ok((skill.trim().to_string(), goal))
}

/// The best learning rates, where the argument is an `lr` sweep.
fn learning_rates(shared: &Shared, args: &FitArgs) -> Result<Option<LrConclusion>> {
    if is_table(&args.table) {
        return Ok(None);
    }
    let folder = paths::sweep_folder(shared, &args.table)?;
    let Some(plan) = read_plan(&folder)?.filter(|plan| plan.kind == "lr") else { return Ok(None) };
    let (collected, rule) = (collect(&folder, args)?, plan.count_rule);
    let mut evidence = conclude::evidence(plan, &collected, rule, LossColumn::Mean)?;
    evidence.curves = collected.points(|metric| metric == TRAIN_LOSS);
    Ok(learning_rate::answer(&evidence))
}

/// Whether `path` names a file of rows and not a sweep.
fn is_table(path: &Path) -> bool {
    ["csv", "parquet", "tsv"]
        .iter()
        .any(|extension| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension)))
}

/// The rows: of a file, or of a sweep's folder.
fn read(shared: &Shared, args: &FitArgs) -> Result<NotedTable> {
    if is_table(&args.table) {
        let columns = ColumnNames {
            n: args.n.clone(),
            d: args.d.clone(),
            c: args.c.clone(),
            loss: args.loss.clone(),
            budget: args.budget.clone(),
            keep_where: args.filter.clone(),
            ..ColumnNames::default()
        };
        return Ok(scalelaw_results::read_table(&args.table, &columns)?);
    }
    for (flag, value) in [("--n", &args.n), ("--d", &args.d), ("--c", &args.c), ("--budget", &args.budget)] {
        if value.is_some() {
            return Err(UsageError(format!("{flag} names a column of a table; a sweep has its own")).into());
        }
    }
    read_sweep(shared, &args.table, args, args.count_rule)
}

/// The rows of a sweep's folder that `--where` takes.
fn collect(folder: &Path, args: &FitArgs) -> Result<Collected> {
    let mut collected = scalelaw_results::collect(folder)?;
    if let Some(expr) = &args.filter {
        collected.keep_where(expr)?;
    }
    Ok(collected)
}

/// A sweep's plan and its rows.
fn open_sweep(shared: &Shared, sweep: &Path, args: &FitArgs) -> Result<(Plan, Collected)> {
    let folder = paths::sweep_folder(shared, sweep)?;
    let plan = read_plan(&folder)?.ok_or_else(|| anyhow!("`{}` has no plan.json", folder.display()))?;
    Ok((plan, collect(&folder, args)?))
}

fn read_sweep(shared: &Shared, sweep: &Path, args: &FitArgs, rule: Option<CountRule>) -> Result<NotedTable> {
    let (plan, collected) = open_sweep(shared, sweep, args)?;
    let rule = rule.unwrap_or(plan.count_rule);
    let loss = args.loss.as_deref().map_or(LossColumn::Mean, column);
    let mut noted = collected.loss_table(rule, &loss, &plan.sweep)?;
    noted.notes.splice(0..0, collected.notes);
    Ok(noted)
}

/// `N=1e8,D=2e9` or `C=1e20`.
fn parse_point(text: &str) -> Result<PredictAt> {
    let bad = || UsageError(format!("`--predict {text}` is not a point (hint: `N=1e8,D=2e9` or `C=1e20`)"));
    let (mut n, mut d, mut c) = (None, None, None);
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or_else(bad)?;
        let value: f64 = value.trim().parse().map_err(|_| bad())?;
        if !(value.is_finite() && value > 0.0) {
            return Err(bad().into());
        }
        match name.trim() {
            "N" | "n" => n = Some(value),
            "D" | "d" => d = Some(value),
            "C" | "c" => c = Some(value),
            _ => return Err(bad().into()),
        }
    }
    match (n, d, c) {
        (Some(n), Some(d), None) => Ok(PredictAt::ND(n, d)),
        (None, None, Some(c)) => Ok(PredictAt::C(c)),
        _ => Err(bad().into()),
    }
}
