//! How skills are fitted, and what can be wrong with that.

use scalelaw_fit::FitError;
use scalelaw_fit::laws::{self, ScalingLaw};
use scalelaw_fit::stats::NOISE_DRAWS;
use scalelaw_schema::LEVEL;

use super::draws::LEAST_DRAWS;

/// How skills are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillSpec {
    /// Name of the law; one that trades N against D.
    pub law: String,
    /// Draws of the runs' noise.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Level of the intervals and of the family of labels, such as 0.95.
    pub level: f64,
}

impl SkillSpec {
    /// Chinchilla's law, 2,000 draws, 95 %.
    pub fn new() -> Self {
        Self { law: "chinchilla".into(), draws: NOISE_DRAWS, seed: 0, level: LEVEL }
    }
}

impl Default for SkillSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// Refuses, with what would settle it.
pub(crate) fn refuse<T>(why: &str, settle: &str) -> Result<T, FitError> {
    Err(FitError::refused(why, &[settle]))
}

/// The law that `spec` names.
pub(crate) fn check(spec: &SkillSpec) -> Result<&'static dyn ScalingLaw, FitError> {
    let bad = |what, value, why| Err(FitError::BadSetting { what, value, why });
    if !(spec.level > 0.0 && spec.level < 1.0) {
        return bad("the level", spec.level, "it must lie between 0 and 1 (hint: 0.95)");
    }
    if spec.draws < LEAST_DRAWS {
        return bad("the number of draws", spec.draws as f64, "fewer than 100 show no interval (hint: 2000)");
    }
    let law = laws::find(&spec.law)?;
    let unit = vec![1.0; law.param_names().len()];
    if law.trade_off(&unit).is_none() {
        return refuse(
            &format!("law `{}` does not trade N against D, so it has no optimum", spec.law),
            "take `chinchilla` or `chinchilla-tied`",
        );
    }
    Ok(law)
}
