//! `scalelaw plan --power`: what a planned sweep will be able to tell, before it is paid for.

use std::io::Write;

use anyhow::Result;
use scalelaw_findings::skills::SkillSpec;
use scalelaw_findings::skills::power::sweep_labels;

use scalelaw_fit::{FitError, FitSpec, KnownLaw, PredictAt, parse_law_with_params, power};
use scalelaw_report::terminal;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::measure::{LossColumn, Measure};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::{Counting, LossRow, LossTable};
use tracing::info;

use crate::args::PlanArgs;
use crate::conclude::read_findings;
use crate::exit::UsageError;
use crate::terminal::width;

/// Simulates the plan's runs, fits each draw with the real fitter, and prints the intervals to expect; and, where
/// the sweep evaluates `n_skills` skills, what their labels will tell.
pub fn show(
    plan: &Plan,
    sweep_dir: &std::path::Path,
    n_skills: usize,
    args: &PlanArgs,
    law: &str,
) -> Result<()> {
    let truth = assumed_law(law, sweep_dir)?;
    let skill = args.power_skill.as_deref().map(parse_law_with_params).transpose()?;
    if skill.is_some() && n_skills == 0 {
        let why = "`--power-skill` needs a sweep that evaluates skills (hint: `skills` under `[measure]`)";
        return Err(UsageError(why.to_string()).into());
    }
    let design = design(plan);
    let largest = plan.runs.iter().map(|run| run.c).fold(0.0, f64::max);
    let spec = FitSpec { bootstrap: 200, predict: vec![PredictAt::C(10.0 * largest)], ..FitSpec::new() };
    if design.rows.len() < plan.runs.len() {
        info!(
            "a law is fitted to one mixture: using the {} of {} runs that have the mixture of the first",
            design.rows.len(),
            plan.runs.len()
        );
    }
    info!("drawing and fitting {} sweeps of {} runs ...", args.draws, design.rows.len());
    let power = power(&design, &truth, args.draws, &spec)?;
    let labels = (n_skills > 0)
        .then(|| sweep_labels(&design, &truth, skill.as_ref(), n_skills, args.draws, &SkillSpec::new()));
    let (labels, why_no_labels) = match labels {
        None => (None, None),
        Some(Ok(labels)) => (Some(labels), None),
        Some(Err(error @ FitError::Refused { .. })) => (None, Some(error.to_string())),
        Some(Err(error)) => return Err(error.into()),
    };
    let mut stdout = anstream::stdout().lock();
    if args.json {
        let value = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "law": law,
            "power": power,
            "skill_law": args.power_skill,
            "labels": labels,
            "why_no_labels": why_no_labels,
        });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        write!(stdout, "{}", terminal::power::text(&power, largest, width()))?;
        if let Some(labels) = labels {
            write!(stdout, "\n{}", terminal::power::labels(&labels, width()))?;
        }
        if let Some(why) = why_no_labels {
            writeln!(stdout, "\nlabels of skills: {why}")?;
        }
    }
    Ok(())
}

/// The runs to come, without losses. Runs of one cluster stay one. Of a mix, the runs with the mixture of the first:
/// each mixture has a fit of its own, and all have the same sizes.
fn design(plan: &Plan) -> LossTable {
    let first = plan.runs.first().map(|planned| &planned.run.train.mixture);
    let rows = plan
        .runs
        .iter()
        .filter(|planned| plan.kind != "mix" || Some(&planned.run.train.mixture) == first)
        .map(|planned| LossRow {
            name: planned.run.id.to_string(),
            n: planned.n,
            d: planned.d,
            c: planned.c,
            // Drawn later; a table's losses are positive.
            loss: 1.0,
            budget: planned.run.cell.budget_flops,
            cluster: planned.run.cell.cluster.as_ref().map(|cluster| cluster.to_string()),
            seed: Some(planned.run.train.seed),
            unique_tokens: None,
        })
        .collect();
    let counting = Counting::Rule(plan.count_rule);
    LossTable { rows, ..LossTable::new(&plan.sweep, counting, Measure::of_runs(LossColumn::Mean, [])) }
}

/// The law as given, or the one fitted so far with the noise of its residuals.
fn assumed_law(text: &str, sweep_dir: &std::path::Path) -> Result<KnownLaw> {
    if text != "fitted" {
        return Ok(parse_law_with_params(text)?);
    }
    let findings = read_findings(sweep_dir);
    let Some(conclusion) = findings.as_ref().and_then(|findings| findings.scaling.conclusion()) else {
        let why =
            format!("`{}` holds no fit yet (hint: give a law with its parameters)", sweep_dir.display());
        return Err(UsageError(why).into());
    };
    let fit = &conclusion.fits[0];
    let params: Vec<String> = fit.params.iter().map(|(name, value)| format!("{name}={value:e}")).collect();
    Ok(parse_law_with_params(&format!("{}:{},noise={:e}", fit.law, params.join(","), fit.rms_log_residual))?)
}
