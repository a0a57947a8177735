//! The limits of a sweep: a plan beyond one of them is refused before anything starts.

use scalelaw_schema::plan::PlanTotal;
use scalelaw_schema::sweep::{Limits, SweepSpec};
use scalelaw_schema::text::{bytes, duration};

use crate::error::PlanError;

/// Compares the sweep's limits with sums over runs: of the whole plan, or of those that are left.
///
/// # Errors
/// `OverBudget`, naming the limit, what it allows and what is planned. A sum that is not known passes; the
/// plan's warnings say so.
pub fn check_limits(sweep: &SweepSpec, total: &PlanTotal) -> Result<(), PlanError> {
    let limits = sweep.limits.clone().unwrap_or_default();
    for Limit { name, allowed, planned, show } in limits_of(&limits, total) {
        if let (Some(allowed), Some(planned)) = (allowed, planned)
            && planned > allowed
        {
            return Err(PlanError::OverBudget {
                limit: name,
                allowed: show(allowed),
                planned: show(planned),
            });
        }
    }
    Ok(())
}

/// Names of the limits that are given but cannot be checked, since the sum is not known.
pub(crate) fn unknown_sums(limits: &Limits, total: &PlanTotal) -> Vec<&'static str> {
    limits_of(limits, total)
        .into_iter()
        .filter(|limit| limit.allowed.is_some() && limit.planned.is_none())
        .map(|limit| limit.name)
        .collect()
}

/// Refuses limits and prices that are negative or not finite.
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

/// One limit and the sum that it bounds, in the unit of the limit.
struct Limit {
    name: &'static str,
    allowed: Option<f64>,
    planned: Option<f64>,
    show: fn(f64) -> String,
}

fn limits_of(limits: &Limits, total: &PlanTotal) -> [Limit; 5] {
    const SECONDS_PER_HOUR: f64 = 3600.0;
    let limit = |name, allowed, planned, show| Limit { name, allowed, planned, show };
    [
        limit("hours", limits.hours, total.wall_seconds.map(|seconds| seconds / SECONDS_PER_HOUR), |x| {
            duration(x * SECONDS_PER_HOUR)
        }),
        limit("flops", limits.flops, Some(total.flops), |x| format!("{x:.3e} FLOPs")),
        limit("disk-bytes", limits.disk_bytes, Some(total.disk_bytes), bytes),
        limit("kwh", limits.kwh, total.kwh, |x| format!("{x:.3} kWh")),
        limit("money", limits.money, total.money, |x| format!("{x:.2}")),
    ]
}
