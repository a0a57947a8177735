//! The peak learning rate where a sweep names none, and the rates that an `lr` sweep compares.

use std::collections::BTreeSet;

use scalelaw_schema::lr_rule::RulePoint;
use scalelaw_schema::sweep::SweepSpec;

use crate::cell::Cell;
use crate::error::PlanError;
use crate::resolve::Setting;

/// Fewest rates of an `lr` sweep: a parabola has three numbers.
const RATES_MIN: usize = 3;

/// Peak rate of a model with [`REFERENCE_N`] parameters: with it the rule lies between the best rates of 2.7e4
/// parameters (about twice the rule's) and of 1.4e5 (about three quarters of it), as `configs/lr-rule.toml`
/// measured them: three rates at either size, batches of 1024 tokens; the README has the losses. Beyond 1e6
/// parameters nothing was measured.
pub const LR_AT_REFERENCE: f64 = 3.5e-3;
/// Size that [`LR_AT_REFERENCE`] belongs to, all parameters.
pub const REFERENCE_N: f64 = 1e6;
/// Exponent of the size: −1/3 as in the tuned runs of Porian et al. 2024 (arXiv:2406.19146), 5e6 to 9e8
/// parameters.
pub const EXPONENT: f64 = -1.0 / 3.0;
/// No model is trained faster than this; below about 5e3 parameters the power law asks for more.
pub const LR_MAX: f64 = 2e-2;

/// Peak learning rate by rule: `min(LR_MAX, LR_AT_REFERENCE · (N / REFERENCE_N)^(−1/3))`.
///
/// N is every parameter whatever the sweep's count rule, so that counting otherwise trains nothing anew.
/// Porian et al. have 0.0047 · (N / 1.08e8)^(−1/3), which is 0.022 at 1e6 parameters; their batch grows with
/// the size and ours does not, so only the exponent is taken from there. The horizon does not enter.
///
/// Outside of the standard parametrisation a rate is that of the base model, and so is the N to ask for.
///
/// Rounded to three digits: no rate is known better, and an id must not hang on the last bit of a machine's power
/// function.
pub fn lr_by_rule(n_total: f64) -> f64 {
    let lr = LR_AT_REFERENCE * (n_total / REFERENCE_N).powf(EXPONENT);
    format!("{lr:.2e}").parse::<f64>().unwrap_or(lr).min(LR_MAX)
}

/// Where a measured rule is read for the runs of a cell.
pub(crate) fn rule_point(cell: &Cell, setting: &Setting) -> RulePoint {
    RulePoint {
        n: cell.model.params().total() as f64,
        d: cell.recipe_steps as f64 * setting.batch_tokens(),
        batch_tokens: setting.batch_tokens(),
    }
}

/// Refuses an `lr` sweep that compares too few rates for a minimum.
pub(crate) fn check_rates(sweep: &SweepSpec) -> Result<(), PlanError> {
    let train = sweep.train.clone().unwrap_or_default();
    let (path, axis) = match (&train.lr, &train.lr_factor) {
        (Some(axis), _) => ("train.lr", Some(axis)),
        (None, axis) => ("train.lr-factor", axis.as_ref()),
    };
    let rates: BTreeSet<u64> = axis.iter().flat_map(|axis| axis.values()).map(|x| x.to_bits()).collect();
    if rates.len() < RATES_MIN {
        return Err(PlanError::at(
            path,
            format!(
                "{} different rates show no minimum: at least {RATES_MIN} (hint: `lr-factor = {{ log = [0.25, 4], steps = 5 }}`)",
                rates.len().max(1)
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_by_half_when_the_size_grows_eightfold_and_is_capped() {
        assert_eq!(lr_by_rule(1e6), 3.5e-3);
        assert_eq!(lr_by_rule(8e6), 1.75e-3);
        assert_eq!(lr_by_rule(1e5), 7.54e-3);
        assert_eq!(lr_by_rule(5e3), LR_MAX);
    }
}
