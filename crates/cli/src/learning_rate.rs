//! The learning-rate rule that a sweep file names.

use anyhow::Result;
use scalelaw_schema::lr_rule::LrRule;

use crate::sweep_file::SweepFile;

/// The rule that `sweep` names as `train.lr-rule`; an error is shown where the file names it.
pub fn named_rule(sweep: &SweepFile) -> Result<Option<LrRule>> {
    let Some(name) = sweep.spec.train.as_ref().and_then(|train| train.lr_rule.as_ref()) else {
        return Ok(None);
    };
    let path = sweep.base.join(name);
    let bad = |why: String| sweep.layers.error_at("train.lr-rule", why);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        bad(format!(
            "cannot read the rule `{}`: {error} (hint: a sweep with `kind = \"lr\"` leaves one in its folder)",
            path.display()
        ))
    })?;
    let rule: LrRule = toml::from_str(&text).map_err(|error| {
        bad(format!("`{}` is no learning-rate rule: {}", path.display(), error.message()))
    })?;
    rule.check().map_err(|error| bad(error.to_string()))?;
    Ok(Some(rule))
}
