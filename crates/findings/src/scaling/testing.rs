//! A known fit for the tests of this crate.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::{Fit, FitStatus, Frontier};

/// Hoffmann et al. 2022 as refitted by Besiroglu et al. 2024, with `C = 6·N·D`.
pub(crate) fn fit(resamples: Vec<Vec<f64>>) -> Fit {
    let params: BTreeMap<String, f64> =
        [("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658)]
            .map(|(name, value)| (name.to_string(), value))
            .into();
    let (alpha, beta) = (0.3478, 0.3658);
    let g = (alpha * 482.01_f64 / (beta * 2085.43)).powf(1.0 / (alpha + beta));
    let (a, b) = (beta / (alpha + beta), alpha / (alpha + beta));
    Fit {
        law: "chinchilla".to_string(),
        equation: String::new(),
        status: FitStatus::Converged,
        notes: Vec::new(),
        params,
        objective: 0.0,
        objective_name: String::new(),
        rms_log_residual: 0.0,
        intervals: BTreeMap::new(),
        optimum: Some(Frontier {
            a,
            b,
            n_coefficient: g * 6f64.powf(-a),
            d_coefficient: 6f64.powf(-b) / g,
            intervals: BTreeMap::new(),
        }),
        residuals: Vec::new(),
        holdout: None,
        predictions: Vec::new(),
        diagnostics: None,
        resamples,
    }
}
