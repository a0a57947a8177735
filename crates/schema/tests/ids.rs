//! Ids of runs, and the names of their folders.

use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::run_name::folder_name;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

fn spec() -> TrainSpec {
    TrainSpec {
        model: ModelSpec::Transformer(ModelShape {
            n_layer: 2,
            d_model: 64,
            n_head: 4,
            d_ff: 176,
            vocab_size: 257,
            head: Head::Tied,
        }),
        phases: vec![Phase { context_len: 128, batch_sequences: 8, steps: 1000 }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 3e-3,
            warmup_steps: 100,
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture: mixture(&[("0123456789ab", 1.0)]),
        seed: 0,
        start: Start::Init,
    }
}

fn mixture(sources: &[(&str, f64)]) -> Mixture {
    let sources =
        sources.iter().map(|&(tokens, weight)| MixtureSource { tokens: tokens.to_string(), weight });
    Mixture::new(sources.collect()).unwrap()
}

fn changed(change: impl Fn(&mut TrainSpec)) -> TrainSpec {
    let mut spec = spec();
    change(&mut spec);
    spec
}

#[test]
fn ids_do_not_change() {
    // Each finished run of every user is found by such an id: where one of these changes, all are orphaned.
    let second = Phase { context_len: 256, batch_sequences: 4, steps: 500 };
    let specs = [
        ("plain", spec(), "341b7a115250"),
        ("seed", changed(|s| s.seed = 9_007_199_254_740_991), "7c3fade217d4"),
        ("rate", changed(|s| s.recipe.lr_peak = 0.0064633040700956545), "f2e5c34c38d8"),
        ("two phases", changed(|s| s.phases.push(second.clone())), "548c873e0be8"),
        ("constant", changed(|s| s.recipe.schedule = Schedule::Constant), "ade5e825e176"),
        ("wsd", changed(|s| s.recipe.schedule = Schedule::Wsd { cooldown_steps: 200 }), "038eb98b8863"),
        (
            "branch",
            changed(|s| s.start = Start::Branch { parent: "0123456789ab".parse().unwrap(), step: 800 }),
            "0ecc9e4432da",
        ),
        ("two sources", changed(|s| s.mixture = mixture(&[("bb", 1.0), ("aa", 2.0)])), "556459d09c65"),
        (
            "untied",
            changed(|s| {
                let ModelSpec::Transformer(shape) = &mut s.model;
                shape.head = Head::Untied;
            }),
            "1da42d634e35",
        ),
        (
            "mup",
            changed(|s| s.recipe.parametrisation = Parametrisation::MuP { base_width: 64 }),
            "1fc9bd6cfa2b",
        ),
        (
            "optimizer",
            changed(|s| {
                s.recipe.optimizer =
                    Optimizer::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
            }),
            "4cc9ad69c248",
        ),
    ];
    for (name, spec, id) in specs {
        assert_eq!(RunId::of(&spec).as_str(), id, "{name}");
    }
}

#[test]
fn an_id_depends_neither_on_white_space_nor_on_the_order_of_fields_nor_on_the_format() {
    fn reversed(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Object(map) => {
                let fields: Vec<String> = map
                    .iter()
                    .rev()
                    .map(|(key, value)| format!("\n \"{key}\" :\t{}", reversed(value)))
                    .collect();
                format!("{{{}}}", fields.join(" , "))
            }
            serde_json::Value::Array(items) => {
                format!("[ {} ]", items.iter().map(reversed).collect::<Vec<_>>().join(" , "))
            }
            plain => plain.to_string(),
        }
    }
    let spec = spec();
    let text = reversed(&serde_json::to_value(&spec).unwrap());
    assert!(text.find("warmup_steps") < text.find("lr_peak"), "{text}");
    let from_json: TrainSpec = serde_json::from_str(&text).unwrap();
    assert_eq!(RunId::of(&from_json), RunId::of(&spec));
    let from_toml: TrainSpec = toml::from_str(&toml::to_string(&spec).unwrap()).unwrap();
    assert_eq!(RunId::of(&from_toml), RunId::of(&spec));
}

#[test]
fn an_id_depends_on_the_sources_and_not_on_the_order_or_scale_they_were_written_in() {
    let of = |sources| RunId::of(&changed(|spec| spec.mixture = mixture(sources)));
    assert_eq!(of(&[("aa", 2.0), ("bb", 1.0)]), of(&[("bb", 0.5), ("aa", 1.0)]));
    assert_ne!(of(&[("aa", 2.0), ("bb", 1.0)]), of(&[("aa", 1.0), ("bb", 2.0)]));
}

#[test]
fn a_folder_name_begins_with_the_size_and_ends_with_the_id() {
    assert_eq!(folder_name(&spec()), format!("n117K-L2-d64-t1.02M-s0-{}", RunId::of(&spec())));
}
