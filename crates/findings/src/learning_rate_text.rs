//! The learning rates of an `lr` sweep as text for a terminal.

use std::fmt::Write;

use scalelaw_schema::lr_rule::RuleExponent;
use scalelaw_schema::text::si;

use crate::learning_rate::critical_batch::CriticalBatches;
use crate::learning_rate::{LrConclusion, LrLaw};

/// The conclusion, without colour; at most 100 columns but for reasons and warnings.
pub fn render(conclusion: &LrConclusion) -> String {
    let mut out = format!("{}: best learning rates, N counts every parameter\n\n", conclusion.source);
    let _ = writeln!(
        out,
        "{:>8} {:>8} {:>7} {:>8}  {:>9} {:>22} {:>8} {:>9}",
        "N", "D", "batch", "beta2", "best rate", "interval", "loss", "curvature"
    );
    for optimum in &conclusion.optima {
        let mark = if optimum.is_best_beta2 { "" } else { "  another beta2 is better" };
        let head = format!(
            "{:>8} {:>8} {:>7} {:>8}",
            si(optimum.n),
            si(optimum.d),
            si(optimum.batch_tokens),
            optimum.beta2
        );
        match (optimum.lr, optimum.loss, &optimum.why_none) {
            (Some(lr), Some(loss), _) => {
                let interval = optimum.lr_interval.as_ref().map(|interval| [interval.low, interval.high]);
                let curvature = optimum.quadratic.map_or(0.0, |quadratic| quadratic[2]);
                let _ = writeln!(
                    out,
                    "{head}  {lr:>9.3e} {:>22} {loss:>8.4} {curvature:>9.4}{mark}",
                    ends(interval, |x| format!("{x:.2e}"))
                );
            }
            (_, _, why) => {
                let why = why.as_deref().unwrap_or("not known");
                let _ = writeln!(out, "{head}  none: {why}{mark}");
            }
        }
        if !optimum.variant.is_empty() {
            let _ = writeln!(out, "{:35}  {}", "", optimum.variant);
        }
    }
    if let Some(noise) = conclusion.noise {
        let _ = writeln!(
            out,
            "noise of the loss about the quadratics: {:.2} %; intervals at {} %",
            100.0 * noise,
            100.0 * conclusion.level
        );
    }
    if let Some(law) = &conclusion.law {
        out.push('\n');
        render_law(&mut out, law);
    }
    if let Some(batches) = &conclusion.critical_batches {
        out.push('\n');
        render_batches(&mut out, batches);
    }
    for warning in &conclusion.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn render_law(out: &mut String, law: &LrLaw) {
    let at = &law.reference;
    let _ = writeln!(
        out,
        "rule: best rate {:.3e} {} at N {}, D {}, batch {}; through {} optima, off by {:.1} % rms",
        law.lr,
        ends(law.lr_interval, |x| format!("{x:.2e}")),
        si(at.n),
        si(at.d),
        si(at.batch_tokens),
        law.n_optima,
        100.0 * law.rms_ln_residual.exp_m1()
    );
    let exponents = [("N", law.exponents.n), ("D", law.exponents.d), ("batch", law.exponents.batch)];
    for (name, exponent) in exponents {
        if let Some(RuleExponent { value, interval }) = exponent {
            let _ = writeln!(out, "  ~ {name}^{value:<8.3} {}", ends(interval, |x| format!("{x:.3}")));
        }
    }
    let _ = writeln!(out, "  intervals: {}", law.method);
    let twice = law.curvature * 2f64.ln().powi(2);
    let _ = writeln!(out, "  twice or half the best rate costs {:.2} % of the loss", 100.0 * twice.exp_m1());
    let how = if law.beta2.measured { "measured" } else { "as given, not compared" };
    let _ = writeln!(
        out,
        "  beta2 {:.5} at a batch of {} ({how}); its half-life in tokens is kept at others",
        law.beta2.beta2,
        si(law.beta2.batch_tokens)
    );
}

fn render_batches(out: &mut String, batches: &CriticalBatches) {
    let _ = writeln!(out, "critical batch, tokens: {}", batches.method);
    for at in &batches.at {
        let head = format!("  N {}, loss {:.3}:", si(at.n), at.loss);
        let _ = match (at.batch_tokens, &at.why_none) {
            (Some(tokens), _) => {
                let interval = at.interval.as_ref().map(|interval| [interval.low, interval.high]);
                writeln!(out, "{head} {} {}", si(tokens), ends(interval, si))
            }
            (None, why) => writeln!(out, "{head} none: {}", why.as_deref().unwrap_or("not known")),
        };
    }
    if let Some(power) = &batches.power {
        let interval = ends(power.interval, |x| format!("{x:.2}"));
        let _ = writeln!(out, "  ~ loss^{:.2} {interval}", power.exponent);
    }
}

/// `[low, high]`, or that there is none.
fn ends(interval: Option<[f64; 2]>, show: impl Fn(f64) -> String) -> String {
    match interval {
        Some([low, high]) => format!("[{}, {}]", show(low), show(high)),
        None => "[not bounded]".to_string(),
    }
}
