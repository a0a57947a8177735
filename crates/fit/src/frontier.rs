//! The compute-optimal frontier of a law: N*(C) and D*(C). Knows nothing of searches.

use crate::laws::TradeOff;
use crate::row::{Point, Rows};
use crate::stats::Centred;

/// How C follows from N and D in a table: `ln C = ln_k + kappa·ln N + ln D`.
///
/// Exactly `ln 6, 1` where C = 6ND; where FLOPs were counted from shapes, the rows say how C/D grows
/// with N, and the frontier bends with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComputeModel {
    /// ln of FLOPs per token at N = 1.
    pub ln_k: f64,
    /// Exponent of N in FLOPs per token.
    pub kappa: f64,
}

impl ComputeModel {
    /// By least squares over the rows.
    pub fn of(rows: &Rows) -> Self {
        let ln_n: Vec<f64> = rows.points.iter().map(|p| p.ln_n).collect();
        let ratio: Vec<f64> = rows.points.iter().map(|p| p.ln_c - p.ln_d).collect();
        let centred = Centred::of(&ln_n, &ratio);
        let slope = centred.slope(1e-6).unwrap_or(1.0);
        // Digitised tables have C = 6ND to four digits: a slope that near to one is one. A slope far
        // off says that C has little to do with N.
        let kappa = if (slope - 1.0).abs() < 1e-3 || !(0.1..=3.0).contains(&slope) { 1.0 } else { slope };
        let centre = &rows.centre;
        let ln_k = centred.mean_y + centre.ln_c - centre.ln_d - kappa * (centred.mean_x + centre.ln_n);
        Self { ln_k, kappa }
    }

    /// The point with that N and D.
    pub fn point(&self, n: f64, d: f64) -> Point {
        let ln_c = self.ln_k + self.kappa * n.ln() + d.ln();
        Point { ln_n: n.ln(), ln_d: d.ln(), ln_c, ln_u: d.ln() }
    }

    /// `(a, ln N*)`: the exponent of N* and its value at `ln_c`.
    ///
    /// Minimises `A/N^alpha + B/D^beta` at `k·N^kappa·D = C`:
    /// `N* = (alpha·A / (kappa·beta·B))^(1/(alpha + kappa·beta)) · (C/k)^(beta/(alpha + kappa·beta))`
    /// (Hoffmann et al. 2022, equation 4, for kappa = 1).
    pub fn optimum(&self, law: &TradeOff, ln_c: f64) -> Option<(f64, f64)> {
        let sum = law.alpha + self.kappa * law.beta;
        let ln_g = (law.alpha / (self.kappa * law.beta)).ln() + law.ln_a - law.ln_b;
        let a = law.beta / sum;
        let ln_n = ln_g / sum + a * (ln_c - self.ln_k);
        (a.is_finite() && ln_n.is_finite()).then_some((a, ln_n))
    }

    /// ln D that spends `ln_c` at `ln_n`.
    pub fn ln_d(&self, ln_n: f64, ln_c: f64) -> f64 {
        ln_c - self.ln_k - self.kappa * ln_n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_is_the_least_loss_along_a_budget() {
        let law = TradeOff { ln_a: 482.0_f64.ln(), alpha: 0.3478, ln_b: 2085.0_f64.ln(), beta: 0.3658 };
        for kappa in [1.0, 0.8] {
            let compute = ComputeModel { ln_k: 6.0_f64.ln(), kappa };
            let ln_c = 1e21_f64.ln();
            let loss = |ln_n: f64| {
                let ln_d = compute.ln_d(ln_n, ln_c);
                (law.ln_a - law.alpha * ln_n).exp() + (law.ln_b - law.beta * ln_d).exp()
            };
            let (a, ln_n) = compute.optimum(&law, ln_c).unwrap();
            assert!(loss(ln_n) < loss(ln_n + 1e-3) && loss(ln_n) < loss(ln_n - 1e-3), "kappa {kappa}");
            let (_, further) = compute.optimum(&law, ln_c + 1.0).unwrap();
            assert!((further - ln_n - a).abs() < 1e-12);
        }
    }

    #[test]
    fn compute_of_6nd_is_recovered() {
        let rows: Vec<(Point, f64)> = [(1e6, 2e8), (3e6, 1e8), (1e7, 5e9)]
            .iter()
            .map(|&(n, d): &(f64, f64)| (Point::new(n, d, 6.0 * n * d), 0.0))
            .collect();
        let compute = ComputeModel::of(&Rows::from_points(&rows));
        assert!((compute.ln_k - 6.0_f64.ln()).abs() < 1e-12 && compute.kappa == 1.0, "{compute:?}");
    }
}
