//! The product: every combination of the sizes or widths and depths in `[model]` with every horizon.

use scalelaw_schema::axis::Axis;
use scalelaw_schema::model::{ModelShape, ModelSpec};
use scalelaw_schema::sweep::{Horizon, ModelChoice, SweepSpec};
use scalelaw_schema::text::si;

use crate::error::PlanError;
use crate::grid::cell::{DropReason, GridCell, HorizonValue, cell, model_of_size};
use crate::resolve::settings::Setting;
use crate::resolve::values::{check_product, counts, numbers};
use crate::shapes::{Family, d_ff_by_rule, heads_by_rule};

/// Widest model that is planned: beyond it, the search for heads takes long and no device could train it.
const WIDTH_MAX: u64 = 1 << 20;

/// The cells under one setting.
pub(crate) fn cells(
    model: &ModelChoice,
    horizon: &Horizon,
    setting: &Setting,
) -> Result<Vec<GridCell>, PlanError> {
    let family = &setting.family;
    let lengths = HorizonValue::of_horizon(horizon, "grid.horizon")?;
    let models = match (&model.size, &model.d_model, &model.n_layer) {
        (Some(_), Some(_), _) => {
            return Err(PlanError::at("model.size", "give either `size`, or `d-model` with `n-layer`"));
        }
        (Some(_), _, Some(_)) => {
            return Err(PlanError::at(
                "model.n-layer",
                "`size` already determines the depth (hint: remove one of the two)",
            ));
        }
        (Some(size), None, None) => by_size(size, model, family)?,
        (None, Some(_), Some(_)) => by_width(model, setting)?,
        (None, Some(_), None) => {
            return Err(PlanError::at("model.d-model", "`d-model` also needs `n-layer`"));
        }
        (None, None, Some(_)) => {
            return Err(PlanError::at("model.n-layer", "`n-layer` also needs `d-model`"));
        }
        (None, None, None) => {
            return Err(PlanError::at("model", "a product grid needs `size`, or `d-model` with `n-layer`"));
        }
    };
    check_product("grid.horizon", &[models.len(), lengths.len()])?;
    let mut cells = Vec::new();
    for (label, found) in &models {
        for length in &lengths {
            cells.push(GridCell {
                label: format!("{label}, {}", length.label()),
                cell: found.clone().and_then(|model| cell(family.rule(), model, setting, *length)),
            });
        }
    }
    Ok(cells)
}

/// Refuses keys of `[model]` that only a product can use.
pub(crate) fn check_model_has_no_sizes(sweep: &SweepSpec) -> Result<(), PlanError> {
    let (model, kind) = (&sweep.model, sweep.grid.kind());
    let given = [
        ("size", model.size.is_some()),
        ("d-model", model.d_model.is_some()),
        ("n-layer", model.n_layer.is_some()),
        ("n-head", model.n_head.is_some()),
        ("d-ff", model.d_ff.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((key, _)) => Err(PlanError::at(
            format!("model.{key}"),
            format!(
                "the grid `{kind}` chooses the sizes itself (hint: remove `{key}`; `aspect`, `d-head` and `width-range` guide the shapes)"
            ),
        )),
        None => Ok(()),
    }
}

/// A model in words, and itself or why there is none.
type LabelledModel = (String, Result<ModelSpec, DropReason>);

fn by_size(size: &Axis, model: &ModelChoice, family: &Family) -> Result<Vec<LabelledModel>, PlanError> {
    for (key, is_given) in [("n-head", model.n_head.is_some()), ("d-ff", model.d_ff.is_some())] {
        if is_given {
            let message = format!(
                "`size` already determines `{key}` (hint: `{key}` goes with `d-model` and `n-layer`)"
            );
            return Err(PlanError::at(format!("model.{key}"), message));
        }
    }
    let sizes = numbers(Some(size), 0.0, "model.size", "positive", |x| x > 0.0)?;
    Ok(sizes.into_iter().map(|size| (format!("N {}", si(size)), model_of_size(family, size))).collect())
}

fn by_width(model: &ModelChoice, setting: &Setting) -> Result<Vec<LabelledModel>, PlanError> {
    let whole = |axis, path| counts(axis, 1.0, path, 1);
    let widths = whole(model.d_model.as_ref(), "model.d-model")?;
    let depths = whole(model.n_layer.as_ref(), "model.n-layer")?;
    let heads: Vec<Option<u64>> = match &model.n_head {
        Some(axis) => whole(Some(axis), "model.n-head")?.into_iter().map(Some).collect(),
        None => vec![None],
    };
    let hidden: Vec<Option<u64>> = match &model.d_ff {
        Some(axis) => whole(Some(axis), "model.d-ff")?.into_iter().map(Some).collect(),
        None => vec![None],
    };
    if let Some(width) = widths.iter().find(|width| **width > WIDTH_MAX) {
        return Err(PlanError::at(
            "model.d-model",
            format!("`{width}` is above the maximum width, {WIDTH_MAX}"),
        ));
    }
    check_product("model.d-model", &[widths.len(), depths.len(), heads.len(), hidden.len()])?;
    let mut models = Vec::new();
    for &d_model in &widths {
        for &n_layer in &depths {
            for &n_head in &heads {
                for &d_ff in &hidden {
                    let mut label = format!("L{n_layer} d{d_model}");
                    if let Some(n_head) = n_head {
                        label += &format!(" h{n_head}");
                    }
                    if let Some(d_ff) = d_ff {
                        label += &format!(" f{d_ff}");
                    }
                    let d_model = d_model as usize;
                    let family = setting.family.spec();
                    let n_head = n_head.map(|n_head| n_head as usize);
                    let found = match n_head.or_else(|| heads_by_rule(d_model, family.d_head)) {
                        Some(n_head) => Ok(ModelSpec::Transformer(ModelShape {
                            n_layer: n_layer as usize,
                            d_model,
                            n_head,
                            d_ff: d_ff.map_or_else(|| d_ff_by_rule(d_model), |d_ff| d_ff as usize),
                            vocab_size: family.vocab_size,
                            head: family.head,
                        })),
                        None => Err(match family.d_head {
                            Some(d_head) => DropReason::HeadWidth { d_model, d_head },
                            None => DropReason::NoEvenHead { d_model },
                        }),
                    };
                    models.push((label, found));
                }
            }
        }
    }
    Ok(models)
}
