//! How each tensor's initial values, learning rate, eps and weight decay follow width and depth: muP and CompleteP.
//! Knows nothing of burn. In the standard parametrisation every factor is exactly 1.
//!
//! The papers give multipliers in the forward pass as well: on attention scores, on what a block adds to the
//! residual stream, and on the logits. Here they are folded into the weights that they follow, so that the model
//! computes the same thing in every parametrisation, at the same cost, and its saved weights are plain Llama's.
//! Under AdamW this changes nothing (Yang et al. 2022, arXiv:2203.03466, appendix on equivalent
//! parametrisations): with `w' = f·w` the gradient is `g/f`, and `w'` takes the steps of `f·w` where its initial
//! values are times f, its learning rate times f, its eps over f and its weight decay over f. Only the clipping of
//! the global norm sees the folded gradients.

use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::recipe::Parametrisation;

use super::layout::{ParamGroup, TensorRole, TensorSpec};

/// Factors of one tensor on the run's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorScale {
    /// On the initial values that the standard parametrisation draws.
    pub init: f64,
    /// On the learning rate.
    pub lr: f64,
    /// On AdamW's eps.
    pub eps: f64,
    /// On the weight decay, which the learning rate multiplies as well.
    pub weight_decay: f64,
}

/// Heads of this width, those of the smallest models here, have the scores of the standard parametrisation.
const D_HEAD_REFERENCE: f64 = 16.0;

/// No change.
pub const STANDARD: TensorScale = TensorScale { init: 1.0, lr: 1.0, eps: 1.0, weight_decay: 1.0 };

/// The factors of each tensor of `model`, in the order of `specs`.
///
/// With `m_N = d_model / base_width`, `m_L = n_layer / base_depth` (1 under muP) and `α`, table 1 of Dey et al.
/// 2025 (arXiv:2505.01618) has, before folding:
///
/// | tensor | multiplier | variance | lr | eps | weight decay |
/// | --- | --- | --- | --- | --- | --- |
/// | embedding | 1 | 1 | 1 | 1/m_N | 1 |
/// | block, matrix | m_L^−α where it ends a block | 1/m_N | m_L^(α−1)/m_N | m_L^−α/m_N | m_N |
/// | block, gain | 1 | | m_L^(α−1) | m_L^−α/m_N | |
/// | last gain | 1/m_N, that of the logits | | 1 | 1/m_N | |
/// | head | (that of the last gain) | 1 | 1 | 1/m_N | 1 |
///
/// and scores as 1/d_head instead of 1/√d_head. The papers leave the constant open; with [`D_HEAD_REFERENCE`] it is
/// `√16/d_head`, a multiplier of `√(16/d_head)` on the query beside the model's own `1/√d_head`. One ratio of widths stands
/// for the fan-in of every matrix, since d_ff follows d_model. The standard parametrisation begins matrices that end
/// a block with `std / √(2·n_layer)`; CompleteP has the depth in its multiplier, so `n_layer` is the base's there.
pub fn tensor_scales(
    specs: &[TensorSpec],
    model: &ModelSpec,
    parametrisation: &Parametrisation,
) -> Vec<TensorScale> {
    let ModelSpec::Transformer(shape) = model;
    let (base_width, base_depth, alpha) = match *parametrisation {
        Parametrisation::Standard => return vec![STANDARD; specs.len()],
        // With m_L = 1, alpha does nothing.
        Parametrisation::MuP { base_width } => (base_width, shape.n_layer, 1.0),
        Parametrisation::CompleteP { base_width, base_depth, alpha } => (base_width, base_depth, alpha),
    };
    let width = shape.d_model as f64 / base_width as f64;
    let depth = shape.n_layer as f64 / base_depth as f64;
    let in_block = TensorScale {
        init: width.powf(-0.5),
        lr: depth.powf(alpha - 1.0) / width,
        eps: depth.powf(-alpha) / width,
        weight_decay: width,
    };
    let outside = TensorScale { eps: 1.0 / width, ..STANDARD };
    let of = |spec: &TensorSpec| match (spec.role, spec.group) {
        (TensorRole::Embedding, _) | (TensorRole::Projection, ParamGroup::Head) => outside,
        (TensorRole::Projection, _) if spec.is_query() => {
            folded(in_block, (D_HEAD_REFERENCE / shape.d_head() as f64).sqrt())
        }
        (TensorRole::Projection, _) => in_block,
        (TensorRole::Residual, _) => {
            folded(TensorScale { init: in_block.init * depth.sqrt(), ..in_block }, depth.powf(-alpha))
        }
        (TensorRole::Gain, _) if spec.is_in_block() => {
            TensorScale { init: 1.0, lr: depth.powf(alpha - 1.0), ..in_block }
        }
        (TensorRole::Gain, _) => folded(outside, 1.0 / width),
    };
    specs.iter().map(of).collect()
}

/// The factors of `f·w` where those of `w` are `scale`.
fn folded(scale: TensorScale, f: f64) -> TensorScale {
    TensorScale {
        init: f * scale.init,
        lr: f * scale.lr,
        eps: scale.eps / f,
        weight_decay: scale.weight_decay / f,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::layout;
    use scalelaw_schema::model::{Head, ModelShape};

    fn model(n_layer: usize, d_model: usize, d_head: usize) -> ModelSpec {
        ModelSpec::Transformer(ModelShape {
            n_layer,
            d_model,
            n_head: d_model / d_head,
            d_ff: 3 * d_model,
            vocab_size: 29,
            head: Head::Untied,
        })
    }

    fn scale(model: &ModelSpec, parametrisation: Parametrisation, name: &str) -> TensorScale {
        let specs = layout::tensors(model);
        let scales = tensor_scales(&specs, model, &parametrisation);
        let at = specs.iter().position(|spec| spec.name.contains(name)).unwrap();
        scales[at]
    }

    #[test]
    fn every_factor_is_exactly_1_in_the_standard_parametrisation() {
        let model = model(3, 128, 64);
        let scales = tensor_scales(&layout::tensors(&model), &model, &Parametrisation::Standard);
        assert!(scales.len() == 2 + 3 * 9 + 1 && scales.iter().all(|scale| *scale == STANDARD));
    }

    #[test]
    fn factors_are_those_of_the_tables() {
        // Width 4 times, depth 16 times the base's; heads of 64 make a multiplier of 1/2 on the query.
        let mup = Parametrisation::MuP { base_width: 32 };
        let half = Parametrisation::CompleteP { base_width: 32, base_depth: 1, alpha: 0.5 };
        let full = Parametrisation::CompleteP { base_width: 32, base_depth: 1, alpha: 1.0 };
        for (name, parametrisation, [init, lr, eps, weight_decay]) in [
            ("embed_tokens", mup, [1.0, 1.0, 0.25, 1.0]),
            ("lm_head", mup, [1.0, 1.0, 0.25, 1.0]),
            ("v_proj", mup, [0.5, 0.25, 0.25, 4.0]),
            ("gate_proj", mup, [0.5, 0.25, 0.25, 4.0]),
            ("q_proj", mup, [0.25, 0.125, 0.5, 8.0]),
            ("o_proj", mup, [0.5, 0.25, 0.25, 4.0]),
            ("input_layernorm", mup, [1.0, 1.0, 0.25, 4.0]),
            ("model.norm", mup, [0.25, 0.25, 1.0, 4.0]),
            // m_L^(α−1) = 1/4, m_L^−α = 1/4.
            ("v_proj", half, [0.5, 0.0625, 0.0625, 4.0]),
            ("down_proj", half, [0.5, 0.015625, 0.25, 16.0]),
            ("post_attention_layernorm", half, [1.0, 0.25, 0.0625, 4.0]),
            ("embed_tokens", half, [1.0, 1.0, 0.25, 1.0]),
            // m_L^(α−1) = 1, m_L^−α = 1/16: what a block adds falls with the depth, its lr relative to it does not.
            ("v_proj", full, [0.5, 0.25, 0.015625, 4.0]),
            ("down_proj", full, [0.125, 0.015625, 0.25, 64.0]),
            ("post_attention_layernorm", full, [1.0, 1.0, 0.015625, 4.0]),
            ("model.norm", full, [0.25, 0.25, 1.0, 4.0]),
        ] {
            let found = scale(&model(16, 128, 64), parametrisation, name);
            let expected = TensorScale { init, lr, eps, weight_decay };
            assert_eq!(found, expected, "{name}, {parametrisation}");
        }
    }

    #[test]
    fn at_the_base_size_with_heads_of_16_nothing_differs_from_the_standard_parametrisation() {
        let model = model(2, 64, 16);
        let specs = layout::tensors(&model);
        let parametrisation = Parametrisation::CompleteP { base_width: 64, base_depth: 2, alpha: 1.0 };
        for (spec, scale) in specs.iter().zip(tensor_scales(&specs, &model, &parametrisation)) {
            assert_eq!(scale, STANDARD, "{}", spec.name);
        }
    }
}
