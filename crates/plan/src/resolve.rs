//! From a sweep as written to choices: every default is applied here, and every value checked, once.

use std::collections::BTreeMap;
use std::rc::Rc;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::lr_rule::LrRule;
use scalelaw_schema::model::Head;
use scalelaw_schema::recipe::{Parametrisation, Precision};
use scalelaw_schema::run::{EarlyStop, Keep};
use scalelaw_schema::sweep::{
    EvalChoice, Length, ParametrisationChoice, ScheduleChoice, SweepSpec, TokenizerChoice, TrainChoice,
};

use crate::blends::{Blend, blends, vocab_size};
use crate::error::PlanError;
use crate::facts::{BYTE_VOCAB, PlanFacts};
use crate::shapes::{ASPECT, Family, FamilySpec};
use crate::values::{check_product, counts, numbers, positive};

/// Tokens of one sequence.
pub const CONTEXT_LEN: f64 = 256.0;
/// Sequences of one step.
pub const BATCH_SEQUENCES: f64 = 16.0;
/// AdamW's decays and weight decay as in Llama and Hoffmann et al. 2022, with a second decay that small
/// batches need (Porian et al. 2024).
pub const BETA1: f64 = 0.9;
/// See [`BETA1`].
pub const BETA2: f64 = 0.95;
/// See [`BETA1`].
pub const WEIGHT_DECAY: f64 = 0.1;
/// Largest global norm of the gradient.
pub const GRAD_CLIP_NORM: f64 = 1.0;
/// Share of the steps that is warm-up: Porian et al. 2024 show that a long one bends the exponents.
pub const WARMUP_FRACTION: f64 = 0.1;
/// Longest warm-up that the default gives, steps.
pub const WARMUP_STEPS_MAX: u64 = 2000;
/// End of the cosine over its peak.
pub const FINAL_FRACTION: f64 = 0.1;
/// Checkpoints of a run.
pub const CHECKPOINTS: u64 = 10;
/// Share of the steps after which a run is looked at that may be hopeless.
pub const EARLY_STOP_AT: f64 = 0.5;
/// Held-out tokens per corpus, also the least that may be asked for: fewer leave noise that a fit would see.
pub const EVAL_TOKENS: u64 = 65536;
/// Items per skill of an evaluation during a run.
pub const ITEMS_DURING: u64 = 128;

/// A sweep with its defaults applied.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    pub name: String,
    pub rule: CountRule,
    pub keep: Keep,
    /// Tokenizer, context and batch: what decides whether a cell can be.
    pub settings: Vec<Setting>,
    /// Mixtures under each tokenizer.
    pub blends: BTreeMap<TokenizerChoice, Vec<Blend>>,
    /// What else is swept; no cell can fail for it.
    pub recipes: Vec<RecipeChoice>,
    pub lr_rule: Option<LrRule>,
    pub parametrisation: Parametrisation,
    pub warmup: Option<Length>,
    pub schedule: ScheduleChoice,
    pub grad_clip_norm: f64,
    /// Numbers of the products with weights.
    pub precision: Precision,
    pub checkpoints: u64,
    pub eval_tokens: u64,
    pub eval_during: u64,
    /// What runs are asked about skills.
    pub skill_evals: BTreeMap<TokenizerChoice, Vec<EvalRequest>>,
    /// Items per skill of the evaluations during a run, where skills are measured.
    pub items_during: Option<u64>,
    pub trunk: bool,
    pub early_stop: Option<EarlyStop>,
}

/// One combination of tokenizer, context and batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub tokenizer: TokenizerChoice,
    pub context_len: usize,
    pub batch_sequences: usize,
    pub family: Rc<Family>,
    /// In words, those of the three that are swept; empty where none is.
    pub label: String,
}

impl Setting {
    pub fn batch_tokens(&self) -> f64 {
        (self.batch_sequences * self.context_len) as f64
    }
}

/// One combination of the recipe's swept values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecipeChoice {
    pub lr: LrChoice,
    pub beta1: f64,
    /// By the measured rule, or the default, where absent.
    pub beta2: Option<f64>,
    pub weight_decay: f64,
    pub seed: u64,
}

/// The peak learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LrChoice {
    /// As written.
    Fixed(f64),
    /// This times the rule's.
    ByRule(f64),
}

impl Choices {
    pub fn of(sweep: &SweepSpec, facts: &PlanFacts) -> Result<Choices, PlanError> {
        let train = sweep.train.clone().unwrap_or_default();
        let eval = sweep.eval.clone().unwrap_or_default();
        let rule = sweep.count_rule.unwrap_or(CountRule::Exact);
        check_tokenizers(&sweep.data.tokenizer.0)?;
        let blends = blends(sweep, facts)?;
        let settings = settings(sweep, facts, rule)?;
        let choices = Choices {
            skill_evals: skill_evals(sweep, facts, &settings)?,
            items_during: sweep.measure.as_ref().map(|measure| measure.items_during.unwrap_or(ITEMS_DURING)),
            name: name(sweep)?,
            rule,
            keep: sweep.keep.unwrap_or(Keep::Weights),
            settings,
            recipes: recipes(&train)?,
            blends,
            lr_rule: lr_rule(&train, facts)?,
            parametrisation: parametrisation(&train)?,
            warmup: train.warmup.map(|warmup| length(warmup, "train.warmup")).transpose()?,
            schedule: schedule(&train)?,
            grad_clip_norm: positive(train.grad_clip_norm, GRAD_CLIP_NORM, "train.grad-clip-norm")?,
            precision: train.precision.unwrap_or_default(),
            checkpoints: train.checkpoints.unwrap_or(CHECKPOINTS),
            eval_tokens: eval_tokens(&eval)?,
            eval_during: eval.during.unwrap_or(0),
            trunk: trunk(&train)?,
            early_stop: early_stop(&train)?,
        };
        choices.check_n_runs(choices.settings.len())?;
        Ok(choices)
    }

    /// Refuses a grid of this many cells where it has more runs than a sweep can mean.
    pub fn check_n_runs(&self, n_cells: usize) -> Result<(), PlanError> {
        let n_blends = self.blends.values().map(Vec::len).max().unwrap_or(0);
        check_product("grid", &[n_cells, n_blends, self.recipes.len()])
    }
}

/// The sweep's name is its folder's.
fn name(sweep: &SweepSpec) -> Result<String, PlanError> {
    let name = sweep.name.clone().unwrap_or_else(|| "sweep".to_string());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(PlanError::at(
            "name",
            format!("`{name}` cannot name a folder (hint: letters, digits, `-`, `_` and `.`)"),
        ));
    }
    Ok(name)
}

fn settings(sweep: &SweepSpec, facts: &PlanFacts, rule: CountRule) -> Result<Vec<Setting>, PlanError> {
    let model = &sweep.model;
    let train = sweep.train.as_ref();
    let contexts = counts(model.context_len.as_ref(), CONTEXT_LEN, "model.context-len", 1)?;
    let batches = counts(
        train.and_then(|train| train.batch_sequences.as_ref()),
        BATCH_SEQUENCES,
        "train.batch-sequences",
        1,
    )?;
    let aspect = positive(model.aspect, ASPECT, "model.aspect")?;
    if let Some(d_head) = model.d_head
        && (d_head == 0 || !d_head.is_multiple_of(2))
    {
        return Err(PlanError::at(
            "model.d-head",
            format!("`{d_head}` is no head width: rotary positions need an even one"),
        ));
    }
    if let Some([narrowest, widest]) = model.width_range
        && (narrowest > widest || narrowest == 0)
    {
        return Err(PlanError::at("model.width-range", format!("`[{narrowest}, {widest}]` holds no width")));
    }
    let tokenizers = &sweep.data.tokenizer.0;
    let mut settings = Vec::new();
    for &tokenizer in tokenizers {
        let family = Rc::new(Family::new(FamilySpec {
            vocab_size: vocab_size(sweep, facts, tokenizer)?,
            head: model.head.unwrap_or(Head::Tied),
            rule,
            aspect,
            d_head: model.d_head.map(|d_head| d_head as usize),
            width_range: model.width_range.map(|range| range.map(|width| width as usize)),
        }));
        for &context_len in &contexts {
            for &batch_sequences in &batches {
                let mut label = Vec::new();
                if tokenizers.len() > 1 {
                    label.push(tokenizer_name(tokenizer));
                }
                if contexts.len() > 1 {
                    label.push(format!("context {context_len}"));
                }
                if batches.len() > 1 {
                    label.push(format!("batch {batch_sequences}"));
                }
                settings.push(Setting {
                    tokenizer,
                    context_len: context_len as usize,
                    batch_sequences: batch_sequences as usize,
                    family: Rc::clone(&family),
                    label: label.join(", "),
                });
            }
        }
    }
    Ok(settings)
}

/// `bytes` or `bpe 512`.
pub(crate) fn tokenizer_name(tokenizer: TokenizerChoice) -> String {
    match tokenizer {
        TokenizerChoice::Bytes => "bytes".to_string(),
        TokenizerChoice::Bpe(vocab_size) => format!("bpe {vocab_size}"),
    }
}

fn check_tokenizers(tokenizers: &[TokenizerChoice]) -> Result<(), PlanError> {
    for (tokenizer_idx, &tokenizer) in tokenizers.iter().enumerate() {
        let path = if tokenizers.len() > 1 {
            format!("data.tokenizer[{tokenizer_idx}]")
        } else {
            "data.tokenizer".into()
        };
        if let TokenizerChoice::Bpe(asked) = tokenizer
            && asked as usize <= BYTE_VOCAB
        {
            return Err(PlanError::at(
                path,
                format!(
                    "`bpe = {asked}` leaves no room for a merge: {BYTE_VOCAB} entries are the bytes and the end of a document (hint: `\"bytes\"`, or 512)"
                ),
            ));
        }
        if tokenizers[..tokenizer_idx].contains(&tokenizer) {
            return Err(PlanError::at(path, format!("`{}` stands twice", tokenizer_name(tokenizer))));
        }
    }
    Ok(())
}

fn recipes(train: &TrainChoice) -> Result<Vec<RecipeChoice>, PlanError> {
    if train.lr.is_some() && train.lr_factor.is_some() {
        return Err(PlanError::at(
            "train.lr-factor",
            "`lr-factor` multiplies the rule's rate, and `lr` replaces it: give one of them",
        ));
    }
    let is_positive = |x: f64| x > 0.0;
    let is_decay = |x: f64| (0.0..1.0).contains(&x);
    let lrs: Vec<LrChoice> = match &train.lr {
        Some(axis) => {
            let values = numbers(Some(axis), 0.0, "train.lr", "positive", is_positive)?;
            values.into_iter().map(LrChoice::Fixed).collect()
        }
        None => {
            let values = numbers(train.lr_factor.as_ref(), 1.0, "train.lr-factor", "positive", is_positive)?;
            values.into_iter().map(LrChoice::ByRule).collect()
        }
    };
    let beta1s = numbers(train.beta1.as_ref(), BETA1, "train.beta1", "at least 0 and below 1", is_decay)?;
    let beta2s: Vec<Option<f64>> = match &train.beta2 {
        Some(axis) => {
            let values = numbers(Some(axis), BETA2, "train.beta2", "at least 0 and below 1", is_decay)?;
            values.into_iter().map(Some).collect()
        }
        None => vec![None],
    };
    let weight_decays =
        numbers(train.weight_decay.as_ref(), WEIGHT_DECAY, "train.weight-decay", "at least 0", |x| x >= 0.0)?;
    let seeds = counts(train.seed.as_ref(), 0.0, "train.seed", 0)?;

    check_product("train", &[lrs.len(), beta1s.len(), beta2s.len(), weight_decays.len(), seeds.len()])?;
    let mut recipes = Vec::new();
    for &lr in &lrs {
        for &beta1 in &beta1s {
            for &beta2 in &beta2s {
                for &weight_decay in &weight_decays {
                    for &seed in &seeds {
                        recipes.push(RecipeChoice { lr, beta1, beta2, weight_decay, seed });
                    }
                }
            }
        }
    }
    Ok(recipes)
}

/// What runs under each tokenizer are asked about skills.
fn skill_evals(
    sweep: &SweepSpec,
    facts: &PlanFacts,
    settings: &[Setting],
) -> Result<BTreeMap<TokenizerChoice, Vec<EvalRequest>>, PlanError> {
    let mut evals: BTreeMap<TokenizerChoice, Vec<EvalRequest>> = BTreeMap::new();
    let shortest = settings.iter().map(|setting| setting.context_len).min();
    let skills = sweep.measure.iter().flat_map(|measure| measure.skills.iter().enumerate());
    for (skill_idx, name) in skills {
        for &tokenizer in &sweep.data.tokenizer.0 {
            let Some(spec) = facts.suites.get(&(tokenizer, name.clone())) else { continue };
            if let (EvalSpec::Skill { context_len, .. }, Some(shortest)) = (spec, shortest)
                && *context_len > shortest
            {
                return Err(PlanError::at(
                    format!("measure.skills[{skill_idx}]"),
                    format!(
                        "the longest item of `{name}` has {context_len} tokens, and `model.context-len` is {shortest} (hint: a longer context, or shorter items in the skill's manifest)"
                    ),
                ));
            }
            let request = EvalRequest { name: name.clone(), spec: spec.clone() };
            evals.entry(tokenizer).or_default().push(request);
        }
    }
    Ok(evals)
}

/// The rule of `facts`, refused where it was measured under another parametrisation: there its rates mean
/// something else.
fn lr_rule(train: &TrainChoice, facts: &PlanFacts) -> Result<Option<LrRule>, PlanError> {
    if train.lr_rule.is_some() && train.lr.is_some() {
        return Err(PlanError::at("train.lr-rule", "`lr` replaces the rule's rate: give one of them"));
    }
    let Some(rule) = facts.lr_rule.as_ref().filter(|_| train.lr_rule.is_some()) else { return Ok(None) };
    rule.check().map_err(|error| PlanError::at("train.lr-rule", error.to_string()))?;
    let wanted = parametrisation(train)?;
    if rule.parametrisation != wanted {
        let message = format!(
            "the rule was measured under the parametrisation {}, and this sweep has {wanted} (hint: measure one with `kind = \"lr\"`)",
            rule.parametrisation
        );
        return Err(PlanError::at("train.lr-rule", message));
    }
    Ok(Some(rule.clone()))
}

fn parametrisation(train: &TrainChoice) -> Result<Parametrisation, PlanError> {
    let parametrisation = match train.parametrisation {
        None | Some(ParametrisationChoice::Standard) => Parametrisation::Standard,
        Some(ParametrisationChoice::Mup { base_width }) => Parametrisation::MuP { base_width },
        Some(ParametrisationChoice::CompleteP { base_width, base_depth, alpha }) => {
            Parametrisation::CompleteP { base_width, base_depth, alpha: alpha.unwrap_or(1.0) }
        }
    };
    parametrisation.check().map_err(|error| PlanError::at("train.parametrisation", error.to_string()))?;
    Ok(parametrisation)
}

fn schedule(train: &TrainChoice) -> Result<ScheduleChoice, PlanError> {
    let schedule = train.schedule.unwrap_or(ScheduleChoice::Cosine { final_fraction: FINAL_FRACTION });
    match schedule {
        ScheduleChoice::Cosine { final_fraction } if !(0.0..=1.0).contains(&final_fraction) => {
            Err(PlanError::at(
                "train.schedule.cosine.final-fraction",
                format!("`{final_fraction}` is not between 0 and 1"),
            ))
        }
        ScheduleChoice::Wsd { cooldown } => {
            length(cooldown, "train.schedule.wsd.cooldown")?;
            Ok(schedule)
        }
        _ => Ok(schedule),
    }
}

fn trunk(train: &TrainChoice) -> Result<bool, PlanError> {
    let trunk = train.trunk.unwrap_or(false);
    if trunk && !matches!(train.schedule, Some(ScheduleChoice::Wsd { .. })) {
        return Err(PlanError::at(
            "train.trunk",
            "a trunk has one rate until its branches cool down (hint: `schedule = { wsd = { cooldown = { fraction = 0.2 } } }`)",
        ));
    }
    if trunk && train.early_stop.is_some() {
        return Err(PlanError::at(
            "train.early-stop",
            "with `trunk = true` other runs go on from each run, so none is given up (hint: leave one of the two out)",
        ));
    }
    Ok(trunk)
}

fn early_stop(train: &TrainChoice) -> Result<Option<EarlyStop>, PlanError> {
    let Some(choice) = train.early_stop else { return Ok(None) };
    let margin = positive(Some(choice.margin), 0.0, "train.early-stop.margin")?;
    let at = choice.at.unwrap_or(EARLY_STOP_AT);
    if !(at > 0.0 && at < 1.0) {
        return Err(PlanError::at(
            "train.early-stop.at",
            format!("`{at}` is no share of the steps: above 0 and below 1"),
        ));
    }
    Ok(Some(EarlyStop { at, margin }))
}

fn length(length: Length, path: &str) -> Result<Length, PlanError> {
    match length {
        Length::Fraction(fraction) if !(0.0..1.0).contains(&fraction) => Err(PlanError::at(
            format!("{path}.fraction"),
            format!("`{fraction}` is no share of the steps: at least 0 and below 1"),
        )),
        _ => Ok(length),
    }
}

fn eval_tokens(eval: &EvalChoice) -> Result<u64, PlanError> {
    let tokens = eval.tokens.unwrap_or(EVAL_TOKENS);
    if tokens < EVAL_TOKENS {
        return Err(PlanError::at(
            "eval.tokens",
            format!("{tokens} held-out tokens leave too much noise: at least {EVAL_TOKENS}"),
        ));
    }
    Ok(tokens)
}
