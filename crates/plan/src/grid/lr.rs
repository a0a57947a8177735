//! The `lr` grid: a product whose runs differ in their learning rate.

use std::collections::BTreeSet;

use scalelaw_schema::sweep::SweepSpec;
use scalelaw_schema::text::counted;

use crate::error::PlanError;

/// Fewest rates of an `lr` sweep: a parabola has three coefficients.
const RATES_MIN: usize = 3;

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
                "{} cannot show a minimum: at least {RATES_MIN} are needed (hint: `lr-factor = {{ log = [0.25, 4], steps = 5 }}`)",
                counted(rates.len().max(1), "different rate")
            ),
        ));
    }
    Ok(())
}
