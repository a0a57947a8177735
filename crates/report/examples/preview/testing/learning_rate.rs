//! Learning rates as an `lr` sweep finds them, and the rule that it leaves.

use scalelaw_findings::learning_rate::{LrConclusion, LrRow, best_learning_rates};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::lr_rule::{Beta2Rule, LrRule, RuleExponents, RulePoint, RuleRange};
use scalelaw_schema::recipe::{Parametrisation, Schedule};
use scalelaw_schema::sweep::TokenizerChoice;

use super::sweep::Simulated;

/// As if the first two runs had been trained at five rates each, the second with its best rate at the grid's edge.
pub fn learning_rates(sweep: &Simulated) -> LrConclusion {
    let mut rows = Vec::new();
    for (planned, best) in sweep.plan.runs.iter().zip([2.0, 16.0]) {
        let train = &planned.run.train;
        for factor in [0.25, 0.5, 1.0, 2.0, 4.0f64] {
            let off = (factor / best).ln();
            rows.push(LrRow {
                name: planned.run.id.to_string(),
                n: train.model.params().total() as f64,
                d: train.tokens() as f64,
                batch_tokens: train.phase_at(0).batch_tokens() as f64,
                beta2: 0.95,
                variant: String::new(),
                lr: factor * train.recipe.lr_peak,
                loss: Some(2.5 * (0.02 * off * off).exp()),
            });
        }
    }
    best_learning_rates("simulated", &rows, 0.95)
}

/// A rule of the rate alone.
pub fn lr_rule() -> LrRule {
    LrRule {
        schema_version: 1,
        sweep: "probe <of> rates".to_string(),
        program: "0.1.0".to_string(),
        count_rule: CountRule::Exact,
        lr: 4e-3,
        lr_interval: None,
        level: 0.95,
        rms_ln_residual: 0.01,
        n_optima: 1,
        curvature: 0.02,
        reference: RulePoint { n: 1e5, d: 1e6, batch_tokens: 1024.0 },
        exponents: RuleExponents::default(),
        range: RuleRange { n: [1e5; 2], d: [1e6; 2], batch_tokens: [1024.0; 2] },
        beta2: Beta2Rule { beta2: 0.95, batch_tokens: 1024.0, measured: false },
        schedule: Schedule::Constant,
        context_len: vec![128],
        tokenizer: vec![TokenizerChoice::Bytes],
        parametrisation: Parametrisation::Standard,
    }
}
