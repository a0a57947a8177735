//! Learning rates of a plan: swept, by the built-in rule, by a measured one, and those of a base model.

use scalelaw_plan::expand;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_plan::learning_rate::lr_by_rule;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::lr_rule::{Beta2Rule, LrRule, RuleExponent, RuleExponents, RulePoint, RuleRange};
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::recipe::{Optimizer, Parametrisation, Schedule};
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::{SweepSpec, TokenizerChoice};

/// Two widths on batches of 1024 tokens, 400 steps.
fn text(kind: &str, train: &str) -> String {
    format!(
        "[grid]\nkind = \"{kind}\"\nhorizon = {{ steps = 400 }}\n[model]\nd-model = [32, 64]\nn-layer = 2\ncontext-len = 128\n[data]\ntokenizer = \"bytes\"\nmixture = {{ code = 1 }}\n[train]\nbatch-sequences = 8\n{train}\n"
    )
}

fn planned(text: &str, rule: Option<LrRule>) -> Result<Plan, String> {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    let sweep: SweepSpec = layers.parse().map_err(|error| error.to_string())?;
    let facts = PlanFacts { lr_rule: rule, ..PlanFacts::draft(&sweep) };
    expand(&sweep, &facts).map_err(|error| error.to_string())
}

fn lrs(plan: &Plan) -> Vec<f64> {
    plan.runs.iter().map(|planned| planned.run.train.recipe.lr_peak).collect()
}

fn n(planned: &PlannedRun) -> f64 {
    planned.run.train.model.params().total() as f64
}

fn rule() -> LrRule {
    LrRule {
        schema_version: 1,
        sweep: "probe".to_string(),
        program: "0.1.0".to_string(),
        count_rule: CountRule::Exact,
        lr: 1e-2,
        lr_interval: None,
        level: 0.95,
        rms_ln_residual: 0.0,
        n_optima: 3,
        curvature: 0.02,
        reference: RulePoint { n: 1e5, d: 4e5, batch_tokens: 512.0 },
        exponents: RuleExponents {
            n: Some(RuleExponent { value: -0.5, interval: None }),
            d: None,
            batch: Some(RuleExponent { value: 0.5, interval: None }),
        },
        range: RuleRange { n: [3e4, 3e5], d: [2e5, 8e5], batch_tokens: [512.0, 1024.0] },
        beta2: Beta2Rule { beta2: 0.98, batch_tokens: 512.0, measured: true },
        schedule: Schedule::Cosine { final_fraction: 0.1 },
        context_len: vec![128],
        tokenizer: vec![TokenizerChoice::Bytes],
        parametrisation: Parametrisation::Standard,
    }
}

#[test]
fn an_lr_sweep_is_every_rate_at_every_size() {
    let plan = planned(&text("lr", "lr-factor = [0.5, 1, 2]"), None).unwrap();
    assert_eq!((plan.kind.as_str(), plan.runs.len()), ("lr", 6));
    for sizes in plan.runs.chunks(3) {
        let by_rule = lr_by_rule(n(&sizes[0]));
        let factors: Vec<f64> = sizes.iter().map(|run| run.run.train.recipe.lr_peak / by_rule).collect();
        assert_eq!(factors, [0.5, 1.0, 2.0]);
    }
}

#[test]
fn too_few_rates_are_refused() {
    for (train, part) in [
        ("", "`train.lr-factor`: 1 different rate cannot"),
        ("lr = [1e-3, 1e-2]", "`train.lr`: 2 different rates"),
        ("lr = [1e-3, 1e-3, 1e-2]", "`train.lr`: 2 different rates"),
    ] {
        let message = planned(&text("lr", train), None).unwrap_err();
        assert!(message.contains(part) && message.contains("hint"), "{train}: {message}");
    }
}

#[test]
fn a_measured_rule_gives_rate_and_beta2_and_is_kept_in_the_plan() {
    let plan = planned(&text("product", "lr-rule = \"a\""), Some(rule())).unwrap();
    for run in &plan.runs {
        let expected = 1e-2 * (n(run) / 1e5).powf(-0.5) * 2f64.sqrt();
        let found = run.run.train.recipe.lr_peak;
        assert!((found / expected - 1.0).abs() < 5e-3, "{found} {expected}");
        let Optimizer::AdamW { beta2, .. } = run.run.train.recipe.optimizer;
        // Twice the batch: the square.
        assert!((beta2 - 0.98f64.powi(2)).abs() < 1e-5, "{beta2}");
    }
    assert_eq!(plan.lr_rule, Some(rule()));
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);

    let twice =
        planned(&text("product", "lr-rule = \"a\"\nlr-factor = 2\nbeta2 = 0.9"), Some(rule())).unwrap();
    let Optimizer::AdamW { beta2, .. } = twice.runs[0].run.train.recipe.optimizer;
    assert_eq!((beta2, lrs(&twice)[0]), (0.9, 2.0 * lrs(&plan)[0]));

    // A sweep that names no rule takes none.
    let without = planned(&text("product", ""), Some(rule())).unwrap();
    assert_eq!((lrs(&without)[0], &without.lr_rule), (lr_by_rule(n(&without.runs[0])), &None));
}

#[test]
fn a_rule_that_is_used_where_it_was_not_measured_is_a_warning() {
    for (train, change, parts) in [
        (
            "",
            Box::new(|rule: &mut LrRule| rule.range.n = [1e6, 1e7]) as Box<dyn Fn(&mut LrRule)>,
            &["2 of 2", "N "][..],
        ),
        ("", Box::new(|rule| rule.context_len = vec![256]), &["at context length 256, not 128"]),
        ("schedule = \"constant\"", Box::new(|_| ()), &["a different schedule"]),
    ] {
        let mut rule = rule();
        change(&mut rule);
        let plan = planned(&text("product", &format!("lr-rule = \"a\"\n{train}")), Some(rule)).unwrap();
        let warnings = plan.warnings.join("\n");
        assert!(parts.iter().all(|part| warnings.contains(part)), "{warnings}");
        assert!(warnings.contains("`probe`"), "{warnings}");
    }
}

#[test]
fn a_rule_of_another_parametrisation_or_beside_a_rate_is_refused() {
    let mup = "parametrisation = { mup = { base-width = 32 } }";
    for (train, part) in [
        (format!("lr-rule = \"a\"\n{mup}"), "measured under the parametrisation standard"),
        ("lr-rule = \"a\"\nlr = 1e-3".to_string(), "`lr` replaces the rule's rate"),
        ("lr-rule = \"a\"".to_string(), "`lr` -1"),
    ] {
        let rule = LrRule { lr: if part.contains("-1") { -1.0 } else { 1e-2 }, ..rule() };
        let message = planned(&text("product", &train), Some(rule)).unwrap_err();
        assert!(message.contains("train.lr-rule") && message.contains(part), "{train}: {message}");
    }
}

#[test]
fn under_mup_every_width_has_the_rate_of_the_base_width() {
    let plan = planned(&text("product", "parametrisation = { mup = { base-width = 32 } }"), None).unwrap();
    let of_base = lr_by_rule(n(&plan.runs[0]));
    assert_eq!(lrs(&plan), [of_base, of_base]);
    let parametrisation = plan.runs[1].run.train.recipe.parametrisation;
    assert_eq!(parametrisation, Parametrisation::MuP { base_width: 32 });
    let complete_p = "parametrisation = { complete-p = { base-width = 32, base-depth = 2 } }";
    let plan = planned(&text("product", complete_p), None).unwrap();
    assert_eq!(
        plan.runs[0].run.train.recipe.parametrisation,
        Parametrisation::CompleteP { base_width: 32, base_depth: 2, alpha: 1.0 }
    );
    assert_eq!(lrs(&plan), [of_base, of_base]);
    // Written out, it is what is not written.
    let standard = planned(&text("product", "parametrisation = \"standard\""), None).unwrap();
    assert_eq!(standard, planned(&text("product", ""), None).unwrap());
}
