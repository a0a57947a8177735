//! The limits of a sweep: refused before anything starts.

use scalelaw_schema::plan::PlanTotal;
use scalelaw_schema::run_id::si;
use scalelaw_schema::sweep::{Limits, SweepSpec};

use crate::error::PlanError;

/// Compares the sweep's limits with sums over runs: of the whole plan, or of those that are left.
///
/// # Errors
/// `OverBudget`, naming the limit, what it allows and what is planned. A sum that cannot be known passes; the
/// plan's warnings say so.
pub fn check_limits(sweep: &SweepSpec, total: &PlanTotal) -> Result<(), PlanError> {
    let limits = sweep.limits.clone().unwrap_or_default();
    for (limit, allowed, planned, show) in pairs(&limits, total) {
        if let (Some(allowed), Some(planned)) = (allowed, planned)
            && planned > allowed
        {
            return Err(PlanError::OverBudget { limit, allowed: show(allowed), planned: show(planned) });
        }
    }
    Ok(())
}

/// Names of the limits that are given but cannot be checked, since the sum is not known.
pub(crate) fn unknowable(limits: &Limits, total: &PlanTotal) -> Vec<&'static str> {
    pairs(limits, total)
        .into_iter()
        .filter(|(_, allowed, planned, _)| allowed.is_some() && planned.is_none())
        .map(|(limit, ..)| limit)
        .collect()
}

type Pair = (&'static str, Option<f64>, Option<f64>, fn(f64) -> String);

fn pairs(limits: &Limits, total: &PlanTotal) -> [Pair; 5] {
    [
        ("hours", limits.hours, total.wall_seconds.map(|seconds| seconds / 3600.0), |x| format!("{x:.2} h")),
        ("flops", limits.flops, Some(total.flops), |x| format!("{x:.3e} FLOPs")),
        ("disk-bytes", limits.disk_bytes, Some(total.disk_bytes), |x| format!("{} bytes", si(x))),
        ("kwh", limits.kwh, total.kwh, |x| format!("{x:.3} kWh")),
        ("money", limits.money, total.money, |x| format!("{x:.2}")),
    ]
}

/// Refuses limits and prices that are not positive numbers.
pub(crate) fn check_numbers(sweep: &SweepSpec) -> Result<(), PlanError> {
    let limits = sweep.limits.clone().unwrap_or_default();
    let cost = sweep.cost.clone().unwrap_or_default();
    for (path, value) in [
        ("limits.hours", limits.hours),
        ("limits.flops", limits.flops),
        ("limits.disk-bytes", limits.disk_bytes),
        ("limits.kwh", limits.kwh),
        ("limits.money", limits.money),
        ("cost.watts", cost.watts),
        ("cost.price-per-kwh", cost.price_per_kwh),
        ("cost.price-per-hour", cost.price_per_hour),
    ] {
        if let Some(x) = value
            && !(x.is_finite() && x >= 0.0)
        {
            return Err(PlanError::at(path, format!("`{x}` must be at least 0")));
        }
    }
    Ok(())
}
