//! A sweep file, exactly as written: nothing resolved, no defaults applied.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axis::Axis;
use crate::corpus::CorpusSpec;
use crate::count::CountRule;
use crate::model::Head;
use crate::recipe::Precision;
use crate::run::Keep;
use crate::skill::SkillManifest;

/// One sweep file. A swept quantity takes one value, a list or a range; several values multiply the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SweepSpec {
    /// Name of the sweep and of its folder. Defaults to the name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the sweep asks, for the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// How N and C are counted, for budgets, sizes and the fit. Defaults to `exact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_rule: Option<CountRule>,
    /// Which cells there are.
    pub grid: Grid,
    /// The model.
    pub model: ModelChoice,
    /// What is trained on.
    pub data: DataChoice,
    /// How it is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainChoice>,
    /// What is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval: Option<EvalChoice>,
    /// Which skills are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<MeasureChoice>,
    /// Limits: a plan beyond one of them does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What energy and time cost here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostChoice>,
    /// Corpora defined by this sweep, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corpus: BTreeMap<String, CorpusSpec>,
    /// Skills defined by this sweep, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skill: BTreeMap<String, SkillManifest>,
    /// What stays on the disk when a run is finished. Defaults to `weights`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// Which cells there are. Swept values elsewhere in the file multiply them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Grid {
    /// Compute budgets, and sizes around the predicted optimum of each (Hoffmann et al. 2022, approach 2).
    Isoflop(IsoflopGrid),
    /// The runs of `isoflop`, to see how far the optimum moves with the text that runs are evaluated on: name two or
    /// more texts, as skills in `[measure]` or corpora in `[eval]` (Roberts et al. 2025, arXiv:2503.10061).
    Validation(IsoflopGrid),
    /// The runs of `isoflop` for each of several mixtures: the share of one source is swept, and the others keep their
    /// ratios (Roberts et al. 2025).
    Mix(MixGrid),
    /// Sizes times tokens per parameter.
    Ladder {
        /// N of the models under the sweep's count rule.
        sizes: Axis,
        /// D / N.
        tokens_per_param: Axis,
    },
    /// Every combination of the values written in the file; the model's width and depth, or its size, are given
    /// in `[model]`.
    Product {
        /// How long each run trains.
        horizon: Horizon,
    },
    /// A product that asks for the best learning rate of each size (and horizon, batch and beta2, if several are
    /// written): give at least three values of `train.lr` or `train.lr-factor`. The result is written to the
    /// sweep's folder as `lr-rule.toml`, which later sweeps can name as `train.lr-rule`.
    Lr {
        /// How long each run trains.
        horizon: Horizon,
    },
}

impl Grid {
    /// As written in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Grid::Isoflop(_) => "isoflop",
            Grid::Validation(_) => "validation",
            Grid::Mix(_) => "mix",
            Grid::Ladder { .. } => "ladder",
            Grid::Product { .. } => "product",
            Grid::Lr { .. } => "lr",
        }
    }

    /// What later budgets are centred on, if the grid has budgets.
    pub fn center(&self) -> Option<CenterChoice> {
        match self {
            Grid::Isoflop(grid) | Grid::Validation(grid) => grid.center,
            Grid::Mix(grid) => grid.center,
            Grid::Ladder { .. } | Grid::Product { .. } | Grid::Lr { .. } => None,
        }
    }
}

/// Compute budgets, and sizes around the optimum of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IsoflopGrid {
    /// FLOPs of one run under the sweep's count rule.
    pub budgets: Axis,
    /// Sizes per budget, evenly spaced in log N.
    pub sizes: usize,
    /// Decades of N on each side of the centre.
    pub span_decades: f64,
    /// Tokens per parameter at the optimum: the initial guess of the centre.
    pub tokens_per_param: f64,
    /// Whether later budgets are centred on the optimum that the smaller ones show. Defaults to `prior`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterChoice>,
    /// Fewest optimizer steps; cells with fewer are dropped. Defaults to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<u64>,
    /// Whether the sizes of all budgets lie on one ladder of equal ratios, so that budgets share sizes, and
    /// `train.trunk` can share their training. Defaults to `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_sizes: Option<bool>,
}

/// Budgets and sizes as in [`IsoflopGrid`], and the shares of the training text that are tried at each of them. The
/// fields are repeated here because a flattened struct would lose the place of an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MixGrid {
    /// FLOPs of one run under the sweep's count rule.
    pub budgets: Axis,
    /// Sizes per budget, evenly spaced in log N; they do not depend on the mixture.
    pub sizes: usize,
    /// Decades of N on each side of the centre.
    pub span_decades: f64,
    /// Tokens per parameter at the optimum: the initial guess of the centre.
    pub tokens_per_param: f64,
    /// Whether later budgets are centred on the optimum that the smaller ones show, over all mixtures. Defaults to
    /// `prior`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterChoice>,
    /// Fewest optimizer steps; cells with fewer are dropped. Defaults to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<u64>,
    /// Whether the sizes of all budgets lie on one ladder of equal ratios, so that budgets share sizes, and
    /// `train.trunk` can share their training. Defaults to `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_sizes: Option<bool>,
    /// Names in `data.mixture` whose share is swept, one at a time.
    pub swept: Vec<String>,
    /// Shares that each of them takes, above 0 and below 1; the other sources share the rest in the ratios of
    /// `data.mixture`.
    pub fractions: Axis,
}

impl MixGrid {
    /// The budgets and sizes of each mixture.
    pub fn isoflop(&self) -> IsoflopGrid {
        IsoflopGrid {
            budgets: self.budgets.clone(),
            sizes: self.sizes,
            span_decades: self.span_decades,
            tokens_per_param: self.tokens_per_param,
            center: self.center,
            min_steps: self.min_steps,
            shared_sizes: self.shared_sizes,
        }
    }
}

/// What an IsoFLOP budget is centred on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CenterChoice {
    /// Always the guess from `tokens-per-param`.
    Prior,
    /// The fit of the smaller budgets, from the second one on, as soon as it exists.
    Fit,
}

/// How long a run trains: exactly one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Horizon {
    /// Optimizer steps.
    Steps(Axis),
    /// Training tokens.
    Tokens(Axis),
    /// Training FLOPs under the sweep's count rule.
    Flops(Axis),
    /// Training tokens over N.
    TokensPerParam(Axis),
}

/// The model as written. Give `size`, or `d-model` with `n-layer`, or neither if the grid chooses the sizes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelChoice {
    /// Tokens of one sequence. Defaults to 256.
    pub context_len: Option<Axis>,
    /// Output projection. Defaults to `tied`.
    pub head: Option<Head>,
    /// N under the sweep's count rule; width and depth follow by rule.
    pub size: Option<Axis>,
    /// Width of the residual stream.
    pub d_model: Option<Axis>,
    /// Number of blocks.
    pub n_layer: Option<Axis>,
    /// Attention heads. Defaults to as many as make them `d-head` wide.
    pub n_head: Option<Axis>,
    /// Width of the SwiGLU's hidden layer. Defaults to 8/3 of the width, rounded up to a multiple of 8.
    pub d_ff: Option<Axis>,
    /// Width of one head if `n-head` is not given. Defaults to about 16 up to a width of 64, 32 up to 128, then 64.
    pub d_head: Option<u64>,
    /// Target of width over depth for sizes made by rule. Defaults to 32.
    pub aspect: Option<f64>,
    /// Smallest and largest width of sizes made by rule. Defaults to `[8, 8192]`.
    pub width_range: Option<[u64; 2]>,
}

/// What is trained on, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataChoice {
    /// `"bytes"`, `{ bpe = 512 }`, or a list of these, which is swept.
    pub tokenizer: OneOrMany<TokenizerChoice>,
    /// Weight of each corpus or skill, such as `{ code = 1, prose = 1 }`, or a list of such tables, which is swept.
    /// Whole numbers are parts; if one is not whole, all are shares and must sum to 1.
    pub mixture: OneOrMany<BTreeMap<String, f64>>,
    /// Fewest held-out tokens that each corpus must have. Defaults to 65536.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_tokens: Option<u64>,
    /// Whether every document begins with the tag of its source. Defaults to `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_sources: Option<bool>,
}

/// How text becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenizerChoice {
    /// One token per byte and one that ends a document: a vocabulary of 257.
    Bytes,
    /// Byte-level BPE trained on the sweep's corpora, with a vocabulary of this size.
    Bpe(u32),
}

/// How it is trained, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainChoice {
    /// Sequences of one step. Defaults to 16.
    pub batch_sequences: Option<Axis>,
    /// Peak learning rate. Defaults to a rule of the model's size.
    pub lr: Option<Axis>,
    /// Factor on the learning rate that the rule gives. Defaults to 1.
    pub lr_factor: Option<Axis>,
    /// File of a measured rule (`lr-rule.toml`, which a sweep of the kind `lr` writes), relative to this file. It
    /// gives the learning rate, and beta2 unless the sweep names one. Defaults to the built-in rule.
    pub lr_rule: Option<String>,
    /// How initial weights and learning rates scale with width and depth. Defaults to `"standard"`; otherwise the
    /// learning rate is that of the base model.
    pub parametrisation: Option<ParametrisationChoice>,
    /// Linear warm-up. Defaults to a tenth of the steps, at most 2000.
    pub warmup: Option<Length>,
    /// Schedule after the warm-up. Defaults to a cosine down to a tenth of the peak.
    pub schedule: Option<ScheduleChoice>,
    /// AdamW's first decay. Defaults to 0.9.
    pub beta1: Option<Axis>,
    /// AdamW's second decay. Defaults to 0.95.
    pub beta2: Option<Axis>,
    /// Decoupled weight decay. Defaults to 0.1.
    pub weight_decay: Option<Axis>,
    /// Largest global norm of the gradient. Defaults to 1.
    pub grad_clip_norm: Option<f64>,
    /// dtype of weight matmuls: `f32`, or `bf16`, which needs a processor with AVX512_BF16. Defaults to `f32`.
    pub precision: Option<Precision>,
    /// Seeds of the initial weights and of the order of the data. Defaults to 0.
    pub seed: Option<Axis>,
    /// Checkpoints per run. Defaults to 10.
    pub checkpoints: Option<u64>,
    /// Whether runs that differ only in their horizon share their training: each continues from the point where the next
    /// shorter one began its cool-down. Needs the schedule `wsd`; the rate by rule and the warm-up are those of the
    /// shortest horizon. Defaults to `false`.
    pub trunk: Option<bool>,
    /// When a run is stopped early. Defaults to never.
    pub early_stop: Option<EarlyStopChoice>,
}

/// When a run is stopped early, as written: if its training loss, averaged over a twentieth of its steps, is higher than
/// that of the best finished run of the same budget (and the same data) by more than the margin. Which runs are
/// stopped may depend on the order in which runs finish.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EarlyStopChoice {
    /// How much higher the loss may be, nats per token.
    pub margin: f64,
    /// Share of the steps at which the run is checked. Defaults to 0.5.
    pub at: Option<f64>,
}

/// Parametrisation as written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ParametrisationChoice {
    /// The same numbers at every size.
    Standard,
    /// muP: the best rate of the base width is the best at every width.
    Mup {
        /// Width that the learning rate and the initial standard deviation of 0.02 apply to. Use 256 or more: narrower
        /// models need larger initial weights, so wide ones would get too small ones.
        base_width: usize,
    },
    /// CompleteP: the best rate of the base model is the best at every width and depth.
    CompleteP {
        /// Width that the learning rate applies to.
        base_width: usize,
        /// Number of blocks that it applies to.
        base_depth: usize,
        /// Exponent of the depth, from 0.5 to 1. Defaults to 1.
        alpha: Option<f64>,
    },
}

/// A length of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Length {
    /// Optimizer steps.
    Steps(u64),
    /// Share of all steps.
    Fraction(f64),
}

/// Learning-rate schedule as written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ScheduleChoice {
    /// Stays at the peak.
    Constant,
    /// A cosine down to this fraction of the peak.
    Cosine {
        /// Learning rate at the end over the peak.
        final_fraction: f64,
    },
    /// Constant, then a cool-down of this length as `1 − √x`.
    Wsd {
        /// Length of the cool-down.
        cooldown: Length,
    },
}

/// What is measured, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvalChoice {
    /// Held-out tokens per corpus, at least 65536, which is the default.
    pub tokens: Option<u64>,
    /// Corpora to evaluate on, besides those trained on.
    pub corpora: Option<Vec<String>>,
    /// Evaluations during a run, not counting the one at the end. Defaults to 0.
    pub during: Option<u64>,
}

/// Which skills are measured, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeasureChoice {
    /// Names of skills: of `[skill.NAME]`, of a built-in one, or of a manifest `datasets/skills/NAME.toml`.
    pub skills: Vec<String>,
    /// Items per skill at the end of a run. Defaults to the whole suite.
    pub items: Option<u64>,
    /// Items per skill in the evaluations during a run. Defaults to 128.
    pub items_during: Option<u64>,
    /// Uses by name, each with the weights of its skills: `tutor = { lookup = 1, mano = 3 }`. For each use the report
    /// gives the best mixture, and the cost of tuning on the wrong validation text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<String, BTreeMap<String, f64>>,
    /// Targets of skills: `lookup = { nll = 0.5 }` or `mano = { accuracy = 0.9 }`. The report gives the cheapest
    /// training that reaches each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, SkillTarget>,
}

/// The target of a skill: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkillTarget {
    /// Largest loss, nats per answer token.
    Nll(f64),
    /// Smallest share of right answers.
    Accuracy(f64),
}

/// Limits of a sweep. A plan beyond one of them does not start (exit code 5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Wall-clock hours on this machine.
    pub hours: Option<f64>,
    /// Training FLOPs of all runs.
    pub flops: Option<f64>,
    /// Bytes on the disk.
    pub disk_bytes: Option<f64>,
    /// Kilowatt-hours.
    pub kwh: Option<f64>,
    /// Money in the sweep's currency.
    pub money: Option<f64>,
}

/// Prices. Without them neither energy nor money is shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CostChoice {
    /// Power drawn by the machine while it trains, watts.
    pub watts: Option<f64>,
    /// Price of a kilowatt-hour.
    pub price_per_kwh: Option<f64>,
    /// Price of an hour of the machine.
    pub price_per_hour: Option<f64>,
    /// Name of the currency.
    pub currency: Option<String>,
}

/// One value, or a list of values that is swept.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

mod one_or_many {
    //! Written by hand, because an untagged enum would lose the place and the reason of an error.

    use std::fmt;
    use std::marker::PhantomData;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::de::value::{MapAccessDeserializer, StrDeserializer};
    use serde::de::{Error, MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::OneOrMany;

    impl<T: Serialize> Serialize for OneOrMany<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0.as_slice() {
                [one] => one.serialize(serializer),
                many => many.serialize(serializer),
            }
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
        }
    }

    struct OneOrManyVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
        type Value = OneOrMany<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one value or a list of them")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            T::deserialize(StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut many = Vec::new();
            while let Some(one) = seq.next_element::<T>()? {
                many.push(one);
            }
            if many.is_empty() {
                return Err(A::Error::custom("the list is empty (hint: give at least one value)"));
            }
            Ok(OneOrMany(many))
        }
    }

    impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            format!("OneOrMany_{}", T::schema_name()).into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let one = generator.subschema_for::<T>();
            json_schema!({ "oneOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
    }
}
