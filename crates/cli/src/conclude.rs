//! From run folders to conclusions: tables, fit, page. Everything here can be made again at any time.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use scalelaw_fit::learning_rate::LrConclusion;
use scalelaw_fit::{FitError, FitSpec, conclusion::Conclusion, learning_rate_text};
use scalelaw_report::ReportInput;
use scalelaw_results::{Collected, LossColumn};
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::LossTable;
use scalelaw_schema::{SCHEMA_VERSION, folder};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::learning_rate;
use crate::provenance::{now, program_name};
use crate::skill_fit::{self, ReportFindings, SkillAsk, SkillFindings};
use crate::write::write_whole;

/// Kind of a sweep over mixtures, as its plan names it.
const MIX: &str = "mix";

/// What the rows of a sweep say: a law, or why none can be had.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The fit.
    Fitted(Box<Conclusion>),
    /// The data cannot tell.
    Refused {
        /// The reason.
        why: String,
        /// Runs that would settle it.
        settle: Vec<String>,
    },
}

/// The content of `fit.json`.
#[derive(Debug, Serialize, Deserialize)]
struct FitFile {
    schema_version: u32,
    verdict: Verdict,
}

impl Verdict {
    /// For the terminal.
    pub fn text(&self, width: usize) -> String {
        match self {
            Verdict::Fitted(conclusion) => scalelaw_fit::render(conclusion, width),
            Verdict::Refused { why, settle } => {
                let mut text = format!("no law: {why}\n");
                for run in settle {
                    text.push_str(&format!("  would settle it: {run}\n"));
                }
                text
            }
        }
    }

    /// What `report` takes.
    fn for_report(&self) -> Result<&Conclusion, String> {
        match self {
            Verdict::Fitted(conclusion) => Ok(conclusion),
            Verdict::Refused { why, settle } if settle.is_empty() => Err(why.clone()),
            Verdict::Refused { why, settle } => {
                Err(format!("{why} (would settle it: {})", settle.join("; ")))
            }
        }
    }
}

/// A sweep with its tables and its verdict.
pub struct Concluded {
    /// What was planned.
    pub plan: Plan,
    /// Rows and curves of the runs that are over.
    pub collected: Collected,
    /// What was fitted.
    pub table: LossTable,
    /// What came out.
    pub verdict: Verdict,
    /// Best learning rates, of an `lr` sweep.
    pub learning_rate: Option<LrConclusion>,
    /// What its skills show, where the runs were judged by any.
    pub skills: Option<SkillFindings>,
}

/// Fits `table`; a refusal is a verdict, any other error an error.
pub fn judge(table: &LossTable, spec: &FitSpec) -> Result<Verdict> {
    let began = Instant::now();
    match scalelaw_fit::fit(table, spec) {
        Ok(mut conclusion) => {
            conclusion.seconds = Some(began.elapsed().as_secs_f64());
            Ok(Verdict::Fitted(Box::new(conclusion)))
        }
        Err(FitError::Refused { why, settle }) => Ok(Verdict::Refused { why, settle }),
        Err(other) => Err(other.into()),
    }
}

/// Reads a sweep's folders and fits them, in the plan's own count rule.
pub fn conclude(sweep_dir: &Path, plan: Plan) -> Result<Concluded> {
    let collected = scalelaw_results::collect(sweep_dir)?;
    for problem in &collected.problems {
        warn!("{}: {}", problem.name, problem.why);
    }
    let noted = collected.loss_table(plan.count_rule, &LossColumn::Mean, &plan.sweep)?;
    for note in collected.notes.iter().chain(&noted.notes) {
        warn!("{note}");
    }
    let learning_rate = learning_rate::conclude(&plan, &collected);
    let verdict = match &learning_rate {
        // Most of its runs have a rate that is known to be wrong.
        Some(_) => Verdict::Refused {
            why: "an `lr` sweep asks for the best learning rates".to_string(),
            settle: Vec::new(),
        },
        // Its runs differ in what their loss is measured on.
        None if plan.kind == MIX => Verdict::Refused {
            why: "the runs of a `mix` sweep were trained on different mixtures: they have no law in common"
                .to_string(),
            settle: Vec::new(),
        },
        None => judge(&noted.table, &FitSpec::new())?,
    };
    let skills = skill_fit::conclude(&plan, &collected, &SkillAsk::default())?;
    Ok(Concluded { plan, collected, table: noted.table, verdict, learning_rate, skills })
}

impl Concluded {
    /// Writes tables, fit and page into the sweep's folder; returns the page's path.
    pub fn write(&self, sweep_dir: &Path) -> Result<PathBuf> {
        scalelaw_results::write_parquet(sweep_dir, &self.collected)?;
        write_whole(&sweep_dir.join(folder::FIT_JSON), &fit_json(&self.verdict)?)?;
        if let Some(conclusion) = &self.learning_rate {
            write_whole(&sweep_dir.join(folder::LR_JSON), &serde_json::to_vec_pretty(conclusion)?)?;
            let path = sweep_dir.join(folder::LR_RULE_TOML);
            match learning_rate::rule(&self.plan, conclusion) {
                Some(rule) => write_whole(&path, toml::to_string(&rule)?.as_bytes())?,
                // A rule of runs that are no longer the sweep's.
                None if path.exists() => std::fs::remove_file(&path)?,
                None => {}
            }
        }
        let path = sweep_dir.join(folder::SKILLS_JSON);
        match &self.skills {
            Some(findings) => write_whole(&path, &serde_json::to_vec_pretty(findings)?)?,
            // Of runs that are no longer the sweep's.
            None if path.exists() => std::fs::remove_file(&path)?,
            None => {}
        }
        let page = sweep_dir.join(folder::REPORT_HTML);
        write_whole(&page, self.html().as_bytes())?;
        Ok(page)
    }

    /// For the terminal.
    pub fn text(&self, width: usize) -> String {
        text_of(&self.verdict, self.learning_rate.as_ref(), self.skills.as_ref(), width)
    }

    /// The page.
    pub fn html(&self) -> String {
        self.with_report_input(scalelaw_report::html)
    }

    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        self.with_report_input(scalelaw_report::markdown)
    }

    fn with_report_input<T>(&self, make: impl FnOnce(&ReportInput) -> T) -> T {
        let verdict = self.verdict.for_report();
        let points = self.collected.points(|metric| metric == TRAIN_LOSS || metric.ends_with("/loss"));
        let (generated, program) = (now(), program_name());
        let findings = self.skills.as_ref().map(ReportFindings::of);
        let skills = findings.as_ref().map(ReportFindings::report);
        make(&ReportInput {
            plan: Some(&self.plan),
            rows: &self.collected.rows,
            curves: &points,
            problems: &self.collected.problems,
            table: &self.table,
            learning_rate: self.learning_rate.as_ref(),
            conclusion: verdict.as_deref().map_err(|why| why.as_str()),
            skills: skills.as_ref(),
            generated: &generated,
            program: &program,
        })
    }
}

/// `fit.json` as it was written, if it can be read.
pub fn read_verdict(sweep_dir: &Path) -> Option<Verdict> {
    let bytes = std::fs::read(sweep_dir.join(folder::FIT_JSON)).ok()?;
    serde_json::from_slice::<FitFile>(&bytes).ok().map(|file| file.verdict)
}

/// What was concluded, as it was written, if it can be read.
pub fn read_text(sweep_dir: &Path, width: usize) -> Option<String> {
    let verdict = read_verdict(sweep_dir)?;
    let bytes = std::fs::read(sweep_dir.join(folder::LR_JSON)).ok();
    let learning_rate = bytes.and_then(|bytes| serde_json::from_slice::<LrConclusion>(&bytes).ok());
    let bytes = std::fs::read(sweep_dir.join(folder::SKILLS_JSON)).ok();
    let skills = bytes.and_then(|bytes| serde_json::from_slice::<SkillFindings>(&bytes).ok());
    Some(text_of(&verdict, learning_rate.as_ref(), skills.as_ref(), width))
}

fn text_of(
    verdict: &Verdict,
    learning_rate: Option<&LrConclusion>,
    skills: Option<&SkillFindings>,
    width: usize,
) -> String {
    let text = learning_rate.map_or_else(|| verdict.text(width), learning_rate_text::render);
    match skills {
        Some(findings) => format!("{text}\n{}", skill_fit::render(findings, width)),
        None => text,
    }
}

fn fit_json(verdict: &Verdict) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        schema_version: u32,
        verdict: &'a Verdict,
    }
    Ok(serde_json::to_vec_pretty(&Borrowed { schema_version: SCHEMA_VERSION, verdict })?)
}
