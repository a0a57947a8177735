//! Time and money from FLOPs, at the rates of runs that were trained.

use serde::{Deserialize, Serialize};

/// How fast runs trained, and what their time cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates {
    /// Parameters and FLOPs per second of runs that were trained; a size may be listed more than once.
    pub speeds: Vec<[f64; 2]>,
    /// Money for a second of one run, where a price was given.
    pub money_per_second: Option<f64>,
    /// As the sweep names it.
    pub currency: Option<String>,
}

/// What an investment takes on the machine that trained the sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Seconds of training in one slot.
    pub seconds: f64,
    /// Money for them.
    pub money: Option<f64>,
    /// As the sweep names it.
    pub currency: Option<String>,
    /// The rate that was used: the median of the runs at the nearest size.
    pub flops_per_second: f64,
    /// Parameters of those runs.
    pub at_n: f64,
}

impl Rates {
    /// Time and money of training `n` parameters with this many FLOPs; none without a rate.
    pub fn price(&self, n: f64, flops: f64) -> Option<Price> {
        let usable = || self.speeds.iter().filter(|[n, speed]| *n > 0.0 && *speed > 0.0);
        let distance = |other: f64| (other / n).ln().abs();
        let [at_n, _] = *usable().min_by(|x, y| distance(x[0]).total_cmp(&distance(y[0])))?;
        let speeds: Vec<f64> = usable().filter(|[n, _]| *n == at_n).map(|[_, speed]| *speed).collect();
        let flops_per_second = scalelaw_fit::stats::quantile::median(&speeds)?;
        let seconds = flops / flops_per_second;
        let money = self.money_per_second.map(|rate| rate * seconds);
        let currency = money.and_then(|_| self.currency.clone());
        Some(Price { seconds, money, currency, flops_per_second, at_n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_median_of_the_nearest_size() {
        let rates = Rates {
            speeds: vec![[1e6, 1e9], [1e6, 3e9], [1e6, 2e9], [1e8, 1e10], [1e7, 0.0]],
            money_per_second: Some(0.5),
            currency: Some("EUR".to_string()),
        };
        // The geometric middle of the two sizes is 1e7; the size without a speed is none.
        for (n, at_n, seconds) in [(2e5, 1e6, 100.0), (9e6, 1e6, 100.0), (1.1e7, 1e8, 20.0)] {
            let price = rates.price(n, 2e11).unwrap();
            assert_eq!((price.at_n, price.seconds, price.money), (at_n, seconds, Some(0.5 * seconds)), "{n}");
        }
        let free = Rates { money_per_second: None, ..rates };
        assert_eq!(free.price(1e6, 2e11).and_then(|price| price.currency), None);
        assert_eq!(Rates::default().price(1e6, 2e11), None);
    }
}
