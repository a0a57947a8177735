//! A law with parameters and noise: draws the losses of runs that were never trained.

use std::collections::BTreeMap;

use rand::Rng;

use crate::error::FitError;
use crate::laws::{self, ScalingLaw};
use crate::row::Point;
use crate::stats::standard_normal;

/// A law whose parameters are known.
#[derive(Clone)]
pub struct KnownLaw {
    /// The law.
    pub law: &'static dyn ScalingLaw,
    /// Its parameters, in the order of its names.
    pub params: Vec<f64>,
    /// Standard deviation of log loss.
    pub noise: f64,
}

impl KnownLaw {
    /// Loss of a run of `n` parameters on `d` fresh tokens with C = 6ND, noise included; nats per token.
    pub fn draw(&self, n: f64, d: f64, rng: &mut impl Rng) -> f64 {
        self.loss(n, d) * (self.noise * standard_normal(rng)).exp()
    }

    /// The same without noise.
    pub fn loss(&self, n: f64, d: f64) -> f64 {
        self.law.loss(&self.params, &Point::new(n, d, 6.0 * n * d))
    }
}

/// Reads `name:param=value,...,noise=sd`; noise is 0 where it is not given.
///
/// # Errors
/// [`FitError::BadLaw`] with what is wrong, [`FitError::UnknownLaw`].
pub fn parse_law_with_params(text: &str) -> Result<KnownLaw, FitError> {
    let bad = |why: String| FitError::BadLaw { text: text.into(), why };
    let (name, assignments) = text.split_once(':').ok_or_else(|| bad("it has no parameters".into()))?;
    let law = laws::find(name.trim())?;
    let mut values = BTreeMap::new();
    for assignment in assignments.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| bad(format!("`{}` is not of the form name=value", assignment.trim())))?;
        let (key, value) = (key.trim(), value.trim());
        let number: f64 = value.parse().map_err(|_| bad(format!("`{value}` is not a number")))?;
        if !number.is_finite() || number < 0.0 {
            return Err(bad(format!("`{key}` is {number}: it must be finite and not negative")));
        }
        if key != "noise" && !law.param_names().contains(&key) {
            return Err(bad(format!(
                "`{name}` has no parameter `{key}`, only {}",
                law.param_names().join(", ")
            )));
        }
        if values.insert(key.to_owned(), number).is_some() {
            return Err(bad(format!("`{key}` is given twice")));
        }
    }
    let noise = values.remove("noise").unwrap_or(0.0);
    let params = law
        .param_names()
        .iter()
        .map(|param| {
            values.get(*param).copied().ok_or_else(|| bad(format!("parameter `{param}` is missing")))
        })
        .collect::<Result<Vec<f64>, FitError>>()?;
    Ok(KnownLaw { law, params, noise })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_law_with_params_is_read_and_drawn() {
        let known =
            parse_law_with_params("chinchilla:A=482,B=2085,E=1.8,alpha=.35,beta=.37,noise=0.01").unwrap();
        let expected = 1.8 + 482.0 / 1e6_f64.powf(0.35) + 2085.0 / 1e8_f64.powf(0.37);
        assert!((known.loss(1e6, 1e8) - expected).abs() < 1e-12);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<f64> = (0..4000).map(|_| (known.draw(1e6, 1e8, &mut rng) / expected).ln()).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        let sd = (draws.iter().map(|x| x * x).sum::<f64>() / 4000.0).sqrt();
        // Four standard errors of each.
        assert!(mean.abs() < 4.0 * 0.01 / 4000f64.sqrt() && (sd - 0.01).abs() < 5e-4, "{mean} {sd}");
    }

    #[test]
    fn errors_in_a_law_are_reported() {
        for (text, says) in [
            ("chinchilla", "no parameters"),
            ("chinchila:A=1", "not known"),
            ("chinchilla:A=1", "`E` is missing"),
            ("chinchilla:A=x", "not a number"),
            ("chinchilla:Q=1", "no parameter `Q`"),
            ("chinchilla:A=-1", "not negative"),
            ("chinchilla:A=1,A=2", "twice"),
        ] {
            let message = parse_law_with_params(text).err().unwrap().to_string();
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
