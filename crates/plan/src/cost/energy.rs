//! Energy and money.

use scalelaw_schema::sweep::CostChoice;

/// Joules of a kilowatt-hour.
const JOULES_PER_KWH: f64 = 3.6e6;

/// Seconds of an hour.
const SECONDS_PER_HOUR: f64 = 3600.0;

/// Energy (kWh) and money of this many seconds of the whole machine, each `None` unless all that it needs is given.
pub(crate) fn energy_and_money(
    machine_seconds: Option<f64>,
    cost: Option<&CostChoice>,
) -> (Option<f64>, Option<f64>) {
    let (Some(seconds), Some(cost)) = (machine_seconds, cost) else { return (None, None) };
    let kwh = cost.watts.map(|watts| watts * seconds / JOULES_PER_KWH);
    let of_hours = cost.price_per_hour.map(|price| price * seconds / SECONDS_PER_HOUR);
    let money = match (cost.price_per_kwh, kwh) {
        (Some(price), Some(kwh)) => Some(price * kwh + of_hours.unwrap_or(0.0)),
        // With a price of energy but no energy, a part of the sum would be missing.
        (Some(_), None) => None,
        (None, _) => of_hours,
    };
    (kwh, money)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_and_money_are_known_only_if_all_they_need_is_given() {
        let cost = |watts, price_per_kwh, price_per_hour| {
            Some(CostChoice { watts, price_per_kwh, price_per_hour, currency: None })
        };
        let hour = Some(3600.0);
        for (cost, seconds, expected) in [
            (None, hour, (None, None)),
            (cost(Some(500.0), None, None), hour, (Some(0.5), None)),
            (cost(Some(500.0), Some(0.4), None), hour, (Some(0.5), Some(0.2))),
            (cost(Some(500.0), Some(0.4), Some(2.0)), hour, (Some(0.5), Some(2.2))),
            (cost(None, Some(0.4), Some(2.0)), hour, (None, None)),
            (cost(None, None, Some(2.0)), hour, (None, Some(2.0))),
            (cost(Some(500.0), Some(0.4), Some(2.0)), None, (None, None)),
        ] {
            assert_eq!(energy_and_money(seconds, cost.as_ref()), expected, "{cost:?}");
        }
    }
}
