//! Rows whose skills follow known laws of size, data and share.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scalelaw_fit::parse_law_with_params;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::{LossColumn, Measure};
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{FlopCount, Head, ModelShape, ModelSpec};
use scalelaw_schema::plan::{Estimate, Plan, PlanTotal, PlannedRun};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::run::{Cadence, Cell, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::score::{ClassLoss, FactSpace, Measured, SkillScore};
use scalelaw_schema::skill::TokenClass;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::{Counting, LossRow, LossTable, MetricPoint, ResultRow};
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

use crate::capacity;
use crate::evidence::Evidence;
use crate::mixture;
use crate::skill_findings::{SkillAsk, SkillFindings, answer};
use crate::skills::SkillSpec;
use crate::texts::Texts;

const BUDGET: f64 = 1e14;
const RULE: CountRule = CountRule::SixNTotal;
const ALPHA: f64 = 0.35;
const BETA: f64 = 0.4;

fn score(nll: f64) -> SkillScore {
    let measured = Measured { value: nll, se: None };
    SkillScore {
        n_items: 512,
        n_tokens: 512,
        n_bytes: 512,
        nll_per_answer: measured,
        nll: measured,
        bpb: measured,
        accuracy: None,
        chance: None,
        classes: BTreeMap::new(),
        groups: BTreeMap::new(),
        facts: None,
    }
}

fn shares(of: &[(&str, f64)]) -> BTreeMap<String, f64> {
    let sum: f64 = of.iter().map(|(_, weight)| weight).sum();
    of.iter().map(|(name, weight)| (name.to_string(), weight / sum)).collect()
}

/// A finished run of this width on this mixture; a skill's loss follows its own share of the tokens.
fn row(width: usize, shares: BTreeMap<String, f64>, idx: usize) -> ResultRow {
    let shape = ModelShape {
        n_layer: 4,
        d_model: width,
        n_head: 1,
        d_ff: 4 * width,
        vocab_size: 257,
        head: Head::Untied,
    };
    let n = RULE.n(&ModelSpec::Transformer(shape.clone()));
    let d = BUDGET / (6.0 * n);
    let id: RunId = format!("{idx:012x}").parse().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(idx as u64);
    let mut law = |e: f64, a: f64, share: f64| {
        let b = 900.0 / share.powf(BETA);
        let law = format!("chinchilla:A={a},B={b},E={e},alpha={ALPHA},beta={BETA},noise=0.002");
        parse_law_with_params(&law).unwrap().draw(n, d, &mut rng)
    };
    let skills = ["facts", "sums"]
        .into_iter()
        .zip([640.0, 400.0])
        .map(|(skill, a)| (skill.to_string(), score(law(0.5, a, shares.get(skill).copied().unwrap_or(0.01)))))
        .collect();
    let losses: BTreeMap<String, f64> =
        shares.iter().map(|(corpus, share)| (corpus.clone(), law(1.0, 120.0, *share))).collect();
    ResultRow {
        run_id: id.clone(),
        folder: id.to_string(),
        cluster: id,
        outcome: scalelaw_schema::record::Outcome::Finished,
        seed: 0,
        budget_flops: Some(BUDGET),
        params: shape.params(),
        n_layer: shape.n_layer,
        d_model: shape.d_model,
        n_head: shape.n_head,
        d_ff: shape.d_ff,
        vocab_size: shape.vocab_size,
        head: shape.head,
        context_len: 128,
        steps: 100,
        tokens: d as u64,
        flops_path: FlopCount { attention: 0.0, scores: 0.0, mlp: BUDGET, head: 0.0 },
        flops_spent: BUDGET,
        loss: Some(losses.values().sum::<f64>() / losses.len() as f64),
        bpb: None,
        bpbs: BTreeMap::new(),
        losses,
        skills,
        shares,
        train_loss: None,
        lr: 1e-3,
        batch_tokens: 1024,
        max_epochs: None,
        wall_seconds: 10.0,
        tokens_per_second: None,
        peak_bytes: None,
        device: "cpu".to_string(),
        program: "0".to_string(),
    }
}

fn plan() -> Plan {
    Plan {
        schema_version: SCHEMA_VERSION,
        sweep: "known".to_string(),
        question: None,
        kind: "mix".to_string(),
        count_rule: RULE,
        runs: Vec::new(),
        dropped: Vec::new(),
        budgets: Vec::new(),
        warnings: Vec::new(),
        lr_rule: None,
        uses: BTreeMap::from([
            ("tutor".to_string(), shares(&[("facts", 1.0), ("sums", 1.0)])),
            ("poet".to_string(), shares(&[("verse", 1.0)])),
        ]),
        targets: BTreeMap::from([("sums".to_string(), SkillTarget::Nll(3.0))]),
        total: PlanTotal {
            n_runs: 0,
            flops: 0.0,
            flops_separate: None,
            tokens: 0.0,
            wall_seconds: None,
            disk_bytes: 0.0,
            kwh: None,
            money: None,
            currency: None,
        },
        packing: None,
    }
}

/// A plan of `n_cells` learning rates, each with `n_seeds` seeds of 20 steps.
pub(crate) fn plan_of(n_cells: usize, n_seeds: u64) -> Plan {
    let run = |cell: usize, seed: u64| {
        let train = TrainSpec {
            model: ModelSpec::Transformer(ModelShape {
                n_layer: 1,
                d_model: 8,
                n_head: 1,
                d_ff: 16,
                vocab_size: 257,
                head: Head::Tied,
            }),
            phases: vec![Phase { context_len: 16, batch_sequences: 4, steps: 20 }],
            recipe: Recipe {
                optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
                lr_peak: 1e-3 * (1 + cell) as f64,
                warmup_steps: 2,
                schedule: Schedule::Wsd { cooldown_steps: 3 },
                grad_clip_norm: 1.0,
                init: InitRule::ScaledNormal { std: 0.02 },
                precision: Precision::F32,
                parametrisation: Parametrisation::Standard,
            },
            mixture: Mixture::new(vec![MixtureSource { tokens: "aa".to_string(), weight: 1.0 }]).unwrap(),
            seed,
            start: Start::Init,
        };
        let run = RunSpec {
            schema_version: SCHEMA_VERSION,
            id: RunId::of(&train),
            train,
            cell: Cell::default(),
            corpora: Vec::new(),
            evals: Vec::new(),
            cadence: Cadence { log_steps: 1, checkpoint_steps: 20, eval_steps: 20, eval_items: None },
            keep: Keep::None,
            keep_steps: Vec::new(),
            early_stop: None,
        };
        let estimate = Estimate { seconds: None, memory_bytes: 0.0, disk_bytes: 0.0, kwh: None, money: None };
        PlannedRun { run, n: 1.0, d: 1.0, c: 6.0, estimate }
    };
    let runs = (0..n_cells).flat_map(|cell| (0..n_seeds).map(move |seed| run(cell, seed))).collect();
    Plan { runs, kind: "product".to_string(), ..plan() }
}

/// A finished row for each planned run.
pub(crate) fn rows_of(plan: &Plan) -> Vec<ResultRow> {
    let row_of = |idx: usize| row(64, shares(&[("facts", 1.0), ("sums", 1.0), ("prose", 1.0)]), idx);
    plan.runs
        .iter()
        .enumerate()
        .map(|(idx, planned)| ResultRow { run_id: planned.run.id.clone(), ..row_of(idx) })
        .collect()
}

/// A training loss.
pub(crate) fn point(run: &RunId, step: u64, value: f64) -> MetricPoint {
    MetricPoint {
        run_id: run.clone(),
        step,
        tokens: 64 * step,
        flops: 1.0,
        wall_seconds: 0.0,
        metric: TRAIN_LOSS.to_string(),
        value,
    }
}

fn ask() -> SkillAsk {
    SkillAsk { spec: SkillSpec { draws: 200, ..SkillSpec::new() }, ..SkillAsk::default() }
}

/// Two skills swept, the others in equal parts.
fn mixtures() -> Vec<BTreeMap<String, f64>> {
    let fractions = [0.05, 0.1, 0.2, 0.4, 0.8];
    let rest = |f: f64| (1.0 - f) / 2.0;
    let facts = fractions.map(|f| shares(&[("facts", f), ("sums", rest(f)), ("prose", rest(f))]));
    let sums = fractions.map(|f| shares(&[("facts", rest(f)), ("sums", f), ("prose", rest(f))]));
    facts.into_iter().chain(sums).collect()
}

fn mix_sweep() -> Vec<ResultRow> {
    let widths = [64, 96, 128, 176, 240, 320, 448];
    let runs = mixtures().into_iter().flat_map(|shares| widths.map(|width| (width, shares.clone())));
    runs.enumerate().map(|(idx, (width, shares))| row(width, shares, idx)).collect()
}

/// The runs of [`mix_sweep`] on one mixture.
fn one_mixture() -> Vec<ResultRow> {
    let mut rows = mix_sweep();
    rows.retain(|row| (row.shares["facts"] - 0.4).abs() < 0.01 && row.shares["sums"] > 0.29);
    rows
}

/// Rows with their tables, as they are read from run folders.
pub(crate) fn evidence(plan: Plan, rows: Vec<ResultRow>) -> Evidence {
    let table = |column: &LossColumn| LossTable {
        rows: rows
            .iter()
            .map(|row| LossRow {
                name: row.run_id.to_string(),
                n: RULE.n(&row.model()),
                d: row.tokens as f64,
                c: RULE.c(&row.model(), row.context_len, row.tokens as f64),
                loss: row.value(column).unwrap(),
                budget: row.budget_flops,
                cluster: Some(row.cluster.to_string()),
                seed: Some(row.seed),
                unique_tokens: None,
            })
            .collect(),
        ..LossTable::new(&plan.sweep, Counting::Rule(RULE), Measure::of_runs(column.clone(), [257]))
    };
    let skills = rows[0].skills.keys().cloned().map(LossColumn::Skill);
    let corpora = ["facts", "sums", "prose"].map(|corpus| LossColumn::Corpus(corpus.to_string()));
    Evidence {
        count_rule: RULE,
        curves: Vec::new(),
        problems: Vec::new(),
        table: table(&LossColumn::Mean),
        column: LossColumn::Mean,
        texts: skills.chain(corpora).map(|column| (column.clone(), table(&column))).collect(),
        plan,
        rows,
    }
}

#[test]
fn a_mix_sweep_gives_back_slopes_laws_and_a_mixture_and_says_what_it_cannot() {
    let found = answer(&evidence(plan(), mix_sweep()), &ask()).unwrap().unwrap();
    let truth = BETA / (ALPHA + BETA);
    for skill in ["facts", "sums"] {
        let curve = found.fractions.iter().find(|curve| curve.skill == skill).unwrap();
        assert_eq!(curve.points.len(), 5, "{skill}: {:?}", curve.points);
        assert_eq!(curve.why_no_law, None, "{skill}");
        let (slope, interval) = (curve.slope_by_law.unwrap(), curve.slope_by_law_interval.clone().unwrap());
        let half = 0.5 * (interval.high - interval.low);
        assert!((slope - truth).abs() < 2.0 * half && half < 0.2, "{skill}: {slope} {interval:?}");
        assert!(curve.slope.unwrap() > 0.2, "{skill}: {:?}", curve.slope);
    }
    let mixing = found.mixing.as_ref().unwrap();
    assert_eq!((mixing.n_mixtures, mixing.sources.len()), (10, 3));
    // More of its own data lowers the loss of a skill, more than of anything else.
    for skill in ["facts", "sums"] {
        let law = mixing.laws.iter().find(|law| law.text == skill).unwrap();
        let own = mixing.sources.iter().position(|source| source == skill).unwrap();
        assert!(law.t.iter().enumerate().all(|(idx, t)| idx == own || law.t[own] < *t), "{law:?}");
    }
    let [tutor] = &found.best[..] else { panic!("{:?}", found.best) };
    let share = |name: &str| {
        tutor.mixture.shares.iter().find(|share| share.source == name).map(|share| share.share).unwrap()
    };
    // Nobody asks for prose: as little of it as was tried.
    assert!(share("prose") < 0.12 && share("facts") > 0.2 && share("sums") > 0.2, "{:?}", tutor.mixture);
    let parts: Vec<&str> = found.absent.iter().map(|absent| absent.part.as_str()).collect();
    assert_eq!(parts, ["skills", "best: poet", "viable: sums"], "{:?}", found.absent);
    assert!(found.absent[0].why.contains("10 mixtures") && found.absent[1].why.contains("verse"));
}

#[test]
fn findings_read_back_from_their_json() {
    let ask = SkillAsk { validation: true, ..ask() };
    let found = answer(&evidence(plan(), one_mixture()), &ask).unwrap().unwrap();
    assert!(found.skills.is_some() && found.validation.is_some(), "{:?}", found.absent);
    for findings in [found, answer(&evidence(plan(), mix_sweep()), &ask).unwrap().unwrap()] {
        let json = serde_json::to_value(&findings).unwrap();
        let read: SkillFindings = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }
}

#[test]
fn a_corpus_is_swept_where_the_others_keep_their_proportions() {
    let of = |facts: f64, sums: f64, prose: f64| {
        let written = [("facts", facts), ("sums", sums), ("prose", prose)];
        shares(&written.into_iter().filter(|(_, weight)| *weight > 0.0).collect::<Vec<_>>())
    };
    let mixtures = [
        of(1.0, 3.0, 3.0),
        of(2.0, 1.0, 1.0),
        // Other proportions of the rest, twice at one fraction.
        of(1.0, 1.0, 2.0),
        of(1.0, 1.0, 2.0),
        // Alone, it belongs to any.
        of(1.0, 0.0, 0.0),
    ];
    let rows: Vec<ResultRow> =
        mixtures.into_iter().enumerate().map(|(idx, shares)| row(64, shares, idx)).collect();
    let found = mixture::answer::sweep_of("facts", rows.iter()).unwrap();
    let fractions: Vec<(f64, usize)> = found.iter().map(|(f, names)| (*f, names.len())).collect();
    assert_eq!(fractions, [(1.0 / 7.0, 1), (0.5, 1), (1.0, 1)]);
    assert!(mixture::answer::sweep_of("prose", rows[2..4].iter()).is_none());
    assert!(mixture::answer::sweep_of("verse", rows.iter()).is_none());
}

#[test]
fn mixing_laws_take_the_size_with_the_most_mixtures_and_of_several_the_middle_one() {
    let mut rows = mix_sweep();
    let width_of = |rows: &[ResultRow]| {
        let evidence = evidence(plan(), rows.to_vec());
        let (runs, trained) = mixture::answer::at_one_size(&Texts::of(&evidence).unwrap());
        let row = rows.iter().find(|row| row.run_id.as_str() == runs.runs[0].name).unwrap();
        (row.d_model, trained.len())
    };
    assert_eq!(width_of(&rows), (176, 10));
    rows.retain(|row| row.d_model == 96 || row.shares["facts"] > 0.06);
    assert_eq!(width_of(&rows), (96, 10));
}

#[test]
fn a_memoriser_has_the_bits_of_its_values_and_of_the_names_it_knows() {
    let space = FactSpace {
        n_facts: 1024,
        key_bits: 16.0,
        value_bits: 8.0,
        answers_per_fact: 2,
        pass_tokens: Some(1000.0),
    };
    let ln2 = std::f64::consts::LN_2;
    let with_names = |name_nats: f64| {
        let key = ClassLoss { n_tokens: 1, loss: name_nats, loss_per_item: name_nats };
        SkillScore { classes: BTreeMap::from([(TokenClass::Key, key)]), ..score(ln2) }
    };
    // Two answers of one bit each are missing of eight; of the name 16 bits, 6 of which can be known.
    for (score, bits) in [
        (score(ln2), 6.0),
        (with_names(16.0 * ln2), 6.0),
        (with_names(10.0 * ln2), 12.0),
        (with_names(13.0 * ln2), 9.0),
    ] {
        let learned = capacity::answer::fact(&score, &space).learned_bits();
        assert!((learned / 1024.0 - bits).abs() < 1e-9, "{learned}, by hand {bits} each");
    }
    assert!(
        (capacity::answer::fact(&with_names(10.0 * ln2), &space).total_bits() - 1024.0 * 14.0).abs() < 1e-6
    );
    let run = ResultRow { tokens: 1_000_000, ..row(64, shares(&[("facts", 0.1234), ("prose", 0.8766)]), 0) };
    assert_eq!(capacity::answer::exposures(&run, "facts", &space), Some(120.0));
    assert_eq!(capacity::answer::exposures(&run, "sums", &space), None);
}

#[test]
fn a_skill_that_no_run_shows_anything_of_is_left_out_with_its_reason() {
    let mut rows = one_mixture();
    let n_runs = rows.len();
    let mut answer_with = |accuracy: f64| {
        for (idx, row) in rows.iter_mut().enumerate() {
            let score = row.skills.get_mut("facts").unwrap();
            // One run alone may be above chance.
            let value = if idx == 2 { accuracy } else { 0.26 };
            (score.accuracy, score.chance) = (Some(Measured { value, se: Some(0.02) }), Some(0.25));
        }
        let found = answer(&evidence(Plan { uses: BTreeMap::new(), ..plan() }, rows.clone()), &ask())
            .unwrap()
            .unwrap();
        let skills = found.skills.unwrap().skills.iter().map(|text| text.name.clone()).collect::<Vec<_>>();
        (skills, found.absent.iter().map(|absent| absent.why.clone()).collect::<Vec<_>>().join("; "))
    };
    // Seven runs: 2.45 standard errors are one in twenty for the luckiest of them.
    assert_eq!(n_runs, 7);
    let (skills, why) = answer_with(0.25 + 2.4 * 0.02);
    assert_eq!(skills, ["sums"]);
    assert!(why.contains("at chance, 0.250, in each of 7 runs (accuracy 0.298 at most)"), "{why}");
    let (skills, why) = answer_with(0.25 + 2.5 * 0.02);
    assert_eq!(skills, ["facts", "sums"]);
    assert!(!why.contains("at chance"), "{why}");
}
