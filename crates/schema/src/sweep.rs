//! A sweep file, exactly as written: nothing resolved, nothing defaulted.

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

/// One sweep file. Wherever an [`Axis`] stands, one value or a range can be written; ranges multiply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SweepSpec {
    /// Name of the sweep and of its folder; the file's name where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the sweep asks, for the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// How N and C are counted: for budgets, sizes and the fit. `exact` where absent.
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
    /// Which skills are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<MeasureChoice>,
    /// Refuse before launch beyond these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What energy and time cost here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostChoice>,
    /// Corpora of this sweep's own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corpus: BTreeMap<String, CorpusSpec>,
    /// Skills of this sweep's own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skill: BTreeMap<String, SkillManifest>,
    /// What stays on the disk when a run is finished; `weights` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// Which cells there are. Every swept value elsewhere in the file multiplies them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Grid {
    /// Budgets of compute, and around the predicted optimum of each some sizes (Hoffmann et al. 2022, approach 2).
    Isoflop(IsoflopGrid),
    /// The runs of `isoflop`, and asks how far the optimum moves with the text that runs are judged by: name two or
    /// more texts, skills in `[measure]` or corpora (Roberts et al. 2025, arXiv:2503.10061).
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
    /// A product that asks for the best learning rate of each size (and horizon, batch and beta2, where several are
    /// written): give at least three values of `train.lr` or `train.lr-factor`. What it finds lies in the sweep's
    /// folder as `lr-rule.toml`, which later sweeps can name as `train.lr-rule`.
    Lr {
        /// How long each run trains.
        horizon: Horizon,
    },
}

impl Grid {
    /// What later budgets are centred on, where the grid has budgets.
    pub fn center(&self) -> Option<CenterChoice> {
        match self {
            Grid::Isoflop(grid) | Grid::Validation(grid) => grid.center,
            Grid::Mix(grid) => grid.center,
            Grid::Ladder { .. } | Grid::Product { .. } | Grid::Lr { .. } => None,
        }
    }
}

/// Budgets of compute, and sizes around the optimum of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IsoflopGrid {
    /// FLOPs of one run under the sweep's count rule.
    pub budgets: Axis,
    /// Sizes per budget, evenly spaced in log N.
    pub sizes: usize,
    /// Decades of N on each side of the centre.
    pub span_decades: f64,
    /// Tokens per parameter at the optimum, the guess that the first centre is made of.
    pub tokens_per_param: f64,
    /// Whether a later budget moves to the optimum that the smaller ones show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterChoice>,
    /// Cells with fewer optimizer steps are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<u64>,
    /// Whether the sizes of all budgets lie on one ladder of equal ratios, so that budgets share sizes, and
    /// `train.trunk` can share their training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_sizes: Option<bool>,
}

/// Budgets and sizes as in [`IsoflopGrid`], and the shares of the training text that are tried at each of them. All
/// fields stand here, since a flattened struct would lose the place of an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MixGrid {
    /// FLOPs of one run under the sweep's count rule.
    pub budgets: Axis,
    /// Sizes per budget, evenly spaced in log N; they do not depend on the mixture.
    pub sizes: usize,
    /// Decades of N on each side of the centre.
    pub span_decades: f64,
    /// Tokens per parameter at the optimum, the guess that the first centre is made of.
    pub tokens_per_param: f64,
    /// Whether a later budget moves to the optimum that the smaller ones show, all mixtures together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterChoice>,
    /// Cells with fewer optimizer steps are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<u64>,
    /// Whether the sizes of all budgets lie on one ladder of equal ratios, so that budgets share sizes, and
    /// `train.trunk` can share their training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_sizes: Option<bool>,
    /// Names in `data.mixture` whose share is swept, one after the other.
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
    /// The fit of the smaller budgets, from the second one on, as soon as it can be made.
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

/// The model as written. Give `size`, or `d-model` with `n-layer`, or neither where the grid makes the sizes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelChoice {
    /// Tokens of one sequence.
    pub context_len: Option<Axis>,
    /// Output projection; `tied` where absent.
    pub head: Option<Head>,
    /// N under the sweep's count rule; width and depth follow by rule.
    pub size: Option<Axis>,
    /// Width of the residual stream.
    pub d_model: Option<Axis>,
    /// Number of blocks.
    pub n_layer: Option<Axis>,
    /// Attention heads; by default as many as make them `d-head` wide.
    pub n_head: Option<Axis>,
    /// Width of the SwiGLU's hidden layer; by default 8/3 of the width, rounded up to a multiple of 8.
    pub d_ff: Option<Axis>,
    /// Width of one head where `n-head` is not given; 64, or the largest divisor that fits, where absent.
    pub d_head: Option<u64>,
    /// Width over depth that sizes made by rule aim at; 32 where absent.
    pub aspect: Option<f64>,
    /// Smallest and largest width of sizes made by rule.
    pub width_range: Option<[u64; 2]>,
}

/// The data as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataChoice {
    /// `"bytes"`, `{ bpe = 512 }`, or a list of both forms, which is swept.
    pub tokenizer: OneOrMany<TokenizerChoice>,
    /// Corpus or skill to weight, such as `{ code = 1, prose = 1 }`, or a list of such tables, which is swept.
    /// Whole numbers are parts; where one is not whole, all are shares and sum to 1.
    pub mixture: OneOrMany<BTreeMap<String, f64>>,
    /// Smallest number of held-out tokens per corpus that must exist; 65536 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_tokens: Option<u64>,
    /// Whether every document begins with its source's tag; not where absent.
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
    /// Sequences of one step.
    pub batch_sequences: Option<Axis>,
    /// Peak learning rate; by a rule of the size where absent.
    pub lr: Option<Axis>,
    /// Factor on the learning rate that the rule gives.
    pub lr_factor: Option<Axis>,
    /// File of a measured rule (`lr-rule.toml`, which a sweep of the kind `lr` leaves), relative to this file: it
    /// gives the learning rate, and beta2 where the sweep names none. The built-in rule where absent.
    pub lr_rule: Option<String>,
    /// How initial weights and learning rates follow width and depth; `"standard"` where absent. Otherwise the
    /// learning rate is that of the base model.
    pub parametrisation: Option<ParametrisationChoice>,
    /// Linear warm-up; a tenth of the steps where absent, at most 2000.
    pub warmup: Option<Length>,
    /// What follows the warm-up; a cosine down to a tenth where absent.
    pub schedule: Option<ScheduleChoice>,
    /// AdamW's first decay.
    pub beta1: Option<Axis>,
    /// AdamW's second decay.
    pub beta2: Option<Axis>,
    /// Decoupled weight decay.
    pub weight_decay: Option<Axis>,
    /// Largest global norm of the gradient.
    pub grad_clip_norm: Option<f64>,
    /// Numbers of the products with weights: `f32` (where absent) or `bf16`, which needs a processor with AVX512_BF16.
    pub precision: Option<Precision>,
    /// Seeds of weights and data order.
    pub seed: Option<Axis>,
    /// Checkpoints per run; 10 where absent.
    pub checkpoints: Option<u64>,
    /// Whether runs that differ in their horizon alone share their training: each goes on from where the next shorter
    /// one began to cool down. Needs the schedule `wsd`; rate by rule and warm-up are those of the shortest horizon.
    pub trunk: Option<bool>,
    /// When a run is given up as hopeless; never where absent.
    pub early_stop: Option<EarlyStopChoice>,
}

/// When a run is given up, as written: where its training loss, averaged over a twentieth of its steps, is higher than
/// that of the best finished run of the same budget (and the same data) by more than the margin. Which runs are
/// finished by then can hang on the order in which runs end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EarlyStopChoice {
    /// Nats per token.
    pub margin: f64,
    /// Share of the steps after which it is looked; 0.5 where absent.
    pub at: Option<f64>,
}

/// Parametrisation as written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ParametrisationChoice {
    /// The same numbers at every size.
    Standard,
    /// The best rate of the base width holds at every width.
    Mup {
        /// Width that the learning rate is meant for, and the initial deviation of 0.02: 256 or more, since narrow
        /// models want larger weights and would hand on too small ones to the wide.
        base_width: usize,
    },
    /// The best rate of the base model holds at every width and depth.
    CompleteP {
        /// Width that the learning rate is meant for.
        base_width: usize,
        /// Number of blocks that it is meant for.
        base_depth: usize,
        /// Exponent of the depth, from 1/2 to 1, which is also what is taken where absent.
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
    /// Down to this fraction of the peak.
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
    /// Held-out tokens per corpus, at least 65536, which is also what is taken where absent.
    pub tokens: Option<u64>,
    /// Corpora to evaluate on beside those trained on.
    pub corpora: Option<Vec<String>>,
    /// Evaluations during a run (the one at the end not counted); none where absent.
    pub during: Option<u64>,
}

/// Which skills are judged, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeasureChoice {
    /// Names of skills: of `[skill.NAME]`, of a built-in one, or of a manifest `datasets/skills/NAME.toml`.
    pub skills: Vec<String>,
    /// Items per skill at the end of a run; all of its suite where absent.
    pub items: Option<u64>,
    /// Items per skill in the evaluations during a run; 128 where absent.
    pub items_during: Option<u64>,
    /// Uses by name, each a weight for every skill that counts in it: `tutor = { lookup = 1, mano = 3 }`. The best
    /// mixture is sought, and the cost of a wrong validation text told, for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<String, BTreeMap<String, f64>>,
    /// What a skill is to reach: `lookup = { nll = 0.5 }` or `mano = { accuracy = 0.9 }`. The least investment that
    /// reaches it is sought.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, SkillTarget>,
}

/// What a skill is to reach: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkillTarget {
    /// At most so many nats per answer token.
    Nll(f64),
    /// At least this share of the items right.
    Accuracy(f64),
}

/// Limits of a sweep. Beyond one of them nothing starts (exit code 5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Wall-clock hours on this machine.
    pub hours: Option<f64>,
    /// Training FLOPs in sum.
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
    //! By hand, since an untagged enum would lose the place and the reason of an error.

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
                return Err(A::Error::custom("an empty list: the grid would be empty"));
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
