//! The ladder: sizes times tokens per parameter.

use scalelaw_schema::axis::Axis;
use scalelaw_schema::text::si;

use crate::error::PlanError;
use crate::grid::cell::{GridCell, HorizonValue, cell, model_of_size};
use crate::resolve::settings::Setting;
use crate::resolve::values::{check_product, numbers};

/// The cells under one setting. D is the ratio times the N of the shape, not of the size asked for.
pub(crate) fn cells(
    sizes: &Axis,
    tokens_per_param: &Axis,
    setting: &Setting,
) -> Result<Vec<GridCell>, PlanError> {
    let family = &setting.family;
    let sizes = numbers(Some(sizes), 0.0, "grid.sizes", "positive", |x| x > 0.0)?;
    let ratios = numbers(Some(tokens_per_param), 0.0, "grid.tokens-per-param", "positive", |x| x > 0.0)?;
    check_product("grid.sizes", &[sizes.len(), ratios.len()])?;
    let mut cells = Vec::new();
    for &size in &sizes {
        for &ratio in &ratios {
            let length = HorizonValue::TokensPerParam(ratio);
            cells.push(GridCell {
                label: format!("N {}, {}", si(size), length.label()),
                cell: model_of_size(family, size)
                    .and_then(|model| cell(family.rule(), model, setting, length)),
            });
        }
    }
    Ok(cells)
}
