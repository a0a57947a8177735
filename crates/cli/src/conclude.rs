//! From run folders to findings, and from findings to the files of a sweep. All of it can be made again at any time.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use scalelaw_findings::learning_rate::{self, LrConclusion};
use scalelaw_findings::{
    Ask, Evidence, Findings, FindingsError, Question, SkillFindings, Verdict, fit_table, plan_hash,
};
use scalelaw_fit::FitSpec;
use scalelaw_report::{ReportInput, SkillReport, scaling, terminal};
use scalelaw_results::Collected;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::LossTable;
use scalelaw_schema::{SCHEMA_VERSION, folder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::exit::UsageError;
use crate::provenance::{now, program_name};

/// Files of earlier versions, which `findings.json` replaces.
const OLD_FILES: [&str; 3] = [folder::FIT_JSON, folder::SKILLS_JSON, folder::LR_JSON];

/// A sweep's findings and what they rest on.
pub struct Concluded {
    evidence: Evidence,
    findings: Findings,
    collected: Collected,
}

/// Reads a sweep's folders and asks them every question, in the plan's own count rule.
pub fn conclude(sweep_dir: &Path, plan: Plan) -> Result<Concluded> {
    let collected = scalelaw_results::collect(sweep_dir)?;
    for problem in &collected.problems {
        warn!("{}: {}", problem.name, problem.why);
    }
    for note in &collected.notes {
        warn!("{note}");
    }
    let rule = plan.count_rule;
    let mut evidence = evidence(plan, &collected, rule, LossColumn::Mean)?;
    evidence.curves = collected.points(|metric| metric == TRAIN_LOSS || metric.ends_with("/loss"));
    let findings = ask(&evidence, &Ask::default())?;
    Ok(Concluded { evidence, findings, collected })
}

/// The rows of a sweep with the tables that its questions need.
pub fn evidence(plan: Plan, collected: &Collected, rule: CountRule, column: LossColumn) -> Result<Evidence> {
    let table = |column: &LossColumn| collected.loss_table(rule, column, &plan.sweep);
    let fitted = table(&column)?;
    for note in &fitted.notes {
        warn!("{note}");
    }
    let texts = scalelaw_results::texts(&collected.rows)
        .into_iter()
        .map(|text| Ok((text.clone(), table(&text)?.table)))
        .collect::<Result<_>>()?;
    Ok(Evidence {
        count_rule: rule,
        rows: collected.rows.clone(),
        curves: Vec::new(),
        problems: collected.problems.clone(),
        table: fitted.table,
        column,
        texts,
        plan,
    })
}

/// The findings of `evidence`, with the seconds that its law took.
fn ask(evidence: &Evidence, ask: &Ask) -> Result<Findings> {
    let mut began = Vec::new();
    let mut findings = scalelaw_findings::conclude(evidence, ask, &program_name(), &mut |question| {
        began.push((question, Instant::now()));
    })
    .map_err(of_usage)?;
    if let [(Question::Scaling, from), (_, to), ..] = began[..]
        && let Verdict::Fitted(conclusion) = &mut findings.scaling
    {
        conclusion.seconds = Some((to - from).as_secs_f64());
    }
    Ok(findings)
}

/// The law of a table, with the seconds that it took.
pub fn timed_fit(table: &LossTable, spec: &FitSpec) -> Result<Verdict> {
    let began = Instant::now();
    let mut verdict = fit_table(table, spec).map_err(of_usage)?;
    if let Verdict::Fitted(conclusion) = &mut verdict {
        conclusion.seconds = Some(began.elapsed().as_secs_f64());
    }
    Ok(verdict)
}

/// An error of what was asked, with its exit code.
pub fn of_usage(error: FindingsError) -> anyhow::Error {
    match error {
        FindingsError::Fit(error) => error.into(),
        other => UsageError(other.to_string()).into(),
    }
}

impl Concluded {
    /// Writes tables, findings and page into the sweep's folder.
    pub fn write(&self, sweep_dir: &Path) -> Result<()> {
        scalelaw_results::write_parquet(sweep_dir, &self.collected)?;
        let path = sweep_dir.join(folder::FINDINGS_JSON);
        scalelaw_disk::write(&path, &serde_json::to_vec_pretty(&self.findings)?)?;
        for old in OLD_FILES {
            scalelaw_disk::remove(&sweep_dir.join(old))?;
        }
        let lr_rule = self.findings.learning_rate.as_ref();
        let lr_rule =
            lr_rule.and_then(|found| learning_rate::rule(&self.evidence.plan, found, &program_name()));
        let path = sweep_dir.join(folder::LR_RULE_TOML);
        match lr_rule {
            Some(rule) => scalelaw_disk::write(&path, toml::to_string(&rule)?.as_bytes())?,
            // A rule of runs that are no longer the sweep's.
            None => {
                scalelaw_disk::remove(&path)?;
            }
        }
        scalelaw_disk::write(&sweep_dir.join(folder::REPORT_HTML), self.html().as_bytes())?;
        Ok(())
    }

    /// For the terminal.
    pub fn text(&self, width: usize) -> String {
        terminal::findings::text(&self.findings, width)
    }

    /// The page.
    pub fn html(&self) -> String {
        self.with_report_input(scalelaw_report::html)
    }

    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        self.with_report_input(scalelaw_report::markdown)
    }

    /// Each chart as its name and an SVG.
    pub fn figures(&self) -> Vec<(String, String)> {
        self.with_report_input(scalelaw_report::svgs)
    }

    fn with_report_input<T>(&self, make: impl FnOnce(&ReportInput) -> T) -> T {
        let Concluded { evidence, findings, .. } = self;
        let (generated, program) = (now(), program_name());
        let skills = findings.skills.as_ref().map(SkillReport::of);
        make(&ReportInput {
            plan: Some(&evidence.plan),
            rows: &evidence.rows,
            curves: &evidence.curves,
            problems: &evidence.problems,
            table: &evidence.table,
            learning_rate: findings.learning_rate.as_ref(),
            scaling: scaling(&findings.scaling),
            curve_health: findings.curve_health.as_ref(),
            skills: skills.as_ref(),
            generated: &generated,
            program: &program,
        })
    }
}

/// The findings in a sweep's folder, those of earlier versions included; `None` where there are none that can be
/// read: they can be made again.
pub fn read_findings(sweep_dir: &Path) -> Option<Findings> {
    read(sweep_dir, folder::FINDINGS_JSON).or_else(|| {
        /// The content of `fit.json`.
        #[derive(Deserialize)]
        struct FitFile {
            verdict: Verdict,
        }
        Some(Findings {
            schema_version: SCHEMA_VERSION,
            sweep: sweep_dir.file_name()?.to_string_lossy().into_owned(),
            origin: None,
            scaling: read::<FitFile>(sweep_dir, folder::FIT_JSON)?.verdict,
            curve_health: None,
            learning_rate: read::<LrConclusion>(sweep_dir, folder::LR_JSON),
            skills: read::<SkillFindings>(sweep_dir, folder::SKILLS_JSON),
        })
    })
}

/// The text of the findings in a sweep's folder, where this program made them of this plan.
pub fn current_text(sweep_dir: &Path, plan: &Plan, width: usize) -> Option<String> {
    let findings = read_findings(sweep_dir)?;
    let origin = findings.origin.as_ref()?;
    let is_current = origin.plan == plan_hash(plan) && origin.program == program_name();
    is_current.then(|| terminal::findings::text(&findings, width))
}

fn read<T: DeserializeOwned>(sweep_dir: &Path, name: &str) -> Option<T> {
    serde_json::from_slice(&std::fs::read(sweep_dir.join(name)).ok()?).ok()
}
