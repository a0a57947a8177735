//! Simulated runs: losses are drawn from a known law instead of trained, so that the whole pipeline can be tried and the
//! fit compared with the truth.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scalelaw_fit::KnownLaw;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::eval::{EvalSpec, Evaluation};
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::record::{Outcome, RunRecord};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::score::{Measured, Score, SkillScore};
use scalelaw_schema::train_spec::TrainSpec;
use scalelaw_schema::{SCHEMA_VERSION, folder};

use crate::provenance::{now, of_simulation};

/// Points of a simulated learning curve.
const CURVE_POINTS: u64 = 60;

/// Writes into `folder` what training would write: metrics, evaluations, the record. N is counted by `rule`. A skill
/// follows the same law, with D the tokens of its own corpus.
pub fn simulate(folder: &Path, run: &RunSpec, law: &KnownLaw, rule: CountRule) -> Result<Outcome> {
    let started = now();
    let train = &run.train;
    let n = rule.n(&train.model);
    // The run's id is a hash of all its choices, the seed included.
    let seed = u64::from_str_radix(run.id.as_str(), 16).expect("an id is hexadecimal");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let loss = law.draw(n, train.tokens() as f64, &mut rng);

    let curve = curve(train, loss, |tokens| law.draw(n, tokens as f64, &mut rng));
    let mut text = Vec::new();
    for row in &curve {
        serde_json::to_writer(&mut text, row)?;
        text.push(b'\n');
    }
    scalelaw_disk::write(&folder.join(folder::METRICS_JSONL), &text)?;

    let shares = run.shares();
    for request in &run.evals {
        let score = match &request.spec {
            EvalSpec::HeldOut { n_tokens, .. } => Score::Text {
                loss,
                // A simulated token stands for one byte.
                bpb: loss / std::f64::consts::LN_2,
                n_tokens: *n_tokens,
                n_bytes: *n_tokens,
            },
            EvalSpec::Skill { n_items, .. } => {
                // A skill without a corpus of its own learns from all tokens.
                let share = shares.get(request.name.as_str()).copied().unwrap_or(1.0);
                let d = train.tokens() as f64 * share;
                Score::Items(score(law.draw(n, d, &mut rng), *n_items))
            }
        };
        let evaluation = Evaluation {
            schema_version: SCHEMA_VERSION,
            run: run.id.clone(),
            request: request.clone(),
            score,
            wall_seconds: 0.0,
            provenance: of_simulation(&started),
        };
        let path = folder.join(folder::EVALS_DIR).join(format!("{}.json", request.spec.hash()));
        scalelaw_disk::write(&path, &serde_json::to_vec_pretty(&evaluation)?)?;
    }
    // Branches wait for these files, which are empty.
    let checkpoints = folder.join(folder::CHECKPOINT_DIR);
    for step in &run.keep_steps {
        scalelaw_disk::write(&checkpoints.join(folder::checkpoint_name(*step)), b"")?;
    }
    let record = run_record(run, loss, &started);
    scalelaw_disk::write(&folder.join(folder::RECORD_JSON), &serde_json::to_vec_pretty(&record)?)?;
    Ok(Outcome::Finished)
}

/// A learning curve that ends at `loss`; `draw` gives the loss after so many tokens.
fn curve(train: &TrainSpec, loss: f64, mut draw: impl FnMut(u64) -> f64) -> Vec<MetricsRow> {
    let total_steps = train.total_steps();
    let mut rows = Vec::new();
    let mut last_step = train.first_step();
    for point in 1..=CURVE_POINTS {
        let step = (total_steps as f64).powf(point as f64 / CURVE_POINTS as f64).round() as u64;
        if step <= last_step {
            continue;
        }
        last_step = step;
        let tokens = train.tokens_until(step);
        let value = if step == total_steps { loss } else { draw(tokens) };
        let values = BTreeMap::from([
            (metrics::TRAIN_LOSS.to_string(), value),
            (metrics::TRAIN_LR.to_string(), train.recipe.lr(step - 1, total_steps)),
        ]);
        rows.push(MetricsRow { step, tokens, flops: train.flops_until(step), wall_seconds: 0.0, values });
    }
    rows
}

fn run_record(run: &RunSpec, loss: f64, started: &str) -> RunRecord {
    let train = &run.train;
    RunRecord {
        schema_version: SCHEMA_VERSION,
        run: run.id.clone(),
        train: train.clone(),
        outcome: Outcome::Finished,
        params: train.model.params(),
        steps: train.total_steps(),
        tokens: train.tokens(),
        flops_path: train.flops(),
        flops_spent: train.flops_spent(),
        cluster: run.cell.cluster.clone().unwrap_or_else(|| run.id.clone()),
        train_loss: Some(loss),
        epochs: BTreeMap::new(),
        skipped_steps: Vec::new(),
        wall_seconds: 0.0,
        tokens_per_second: None,
        peak_bytes: None,
        micro_batch_tokens: Some(train.largest_batch_tokens()),
        micro_batch: None,
        attempts: 1,
        provenance: of_simulation(started),
    }
}

/// A score whose answers have one token and one byte each. It has no accuracy, since the law only gives losses.
fn score(nll: f64, n_items: u64) -> SkillScore {
    let measured = |value: f64| Measured { value, se: None };
    SkillScore {
        n_items,
        n_tokens: n_items,
        n_bytes: n_items,
        nll_per_answer: measured(nll),
        nll: measured(nll),
        bpb: measured(nll / std::f64::consts::LN_2),
        accuracy: None,
        chance: None,
        classes: BTreeMap::new(),
        groups: BTreeMap::new(),
        facts: None,
    }
}
