//! The coordinate check (Yang et al. 2022, arXiv:2203.03466, appendix D): after a few steps at one learning rate, the
//! change of activations and logits is of the same size at every width under muP, and grows under the standard
//! parametrisation.

use burn::tensor::Device;
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{Parametrisation, Schedule};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::train_spec::TrainSpec;

use crate::testing::{self, PlainForward};

const WIDTHS: [usize; 4] = [32, 64, 128, 256];
const STEPS: u64 = 8;

fn spec(d_model: usize, n_layer: usize, head: Head, parametrisation: Parametrisation) -> TrainSpec {
    let mut train = testing::train_spec(STEPS);
    train.model = ModelSpec::Transformer(ModelShape {
        n_layer,
        d_model,
        n_head: d_model / 16,
        d_ff: 2 * d_model,
        vocab_size: 29,
        head,
    });
    train.recipe.lr_peak = 1e-3;
    train.recipe.warmup_steps = 0;
    train.recipe.schedule = Schedule::Constant;
    train.recipe.parametrisation = parametrisation;
    train
}

/// Root mean square of what training changes in the residual stream and in the logits.
fn changes(train: &TrainSpec) -> [f64; 2] {
    let device = Device::flex();
    let text = testing::tokens(1 << 20, 33);
    let ModelSpec::Transformer(shape) = &train.model;
    let forward = |weights: &[Vec<f32>]| testing::plain_forward(shape, weights, &text);
    let before = forward(&testing::weights(&testing::fresh(train, &device).model));
    let (outcome, state, _) = testing::train_in_memory(train, 96, &device, &mut testing::batch);
    assert_eq!(outcome, Outcome::Finished);
    let after = forward(&testing::weights(&state.model));
    let rms = |of: fn(&PlainForward) -> &Vec<Vec<f64>>| {
        let (before, after) = (of(&before).iter().flatten(), of(&after).iter().flatten());
        let n = before.clone().count() as f64;
        (before.zip(after).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / n).sqrt()
    };
    [rms(|forward| &forward.residual), rms(|forward| &forward.logits)]
}

/// How many times larger the changes are at the largest width than at the smallest.
fn growth(head: Head, parametrisation: Parametrisation) -> [f64; 2] {
    let by_width = WIDTHS.map(|d_model| changes(&spec(d_model, 2, head, parametrisation)));
    println!("{head:?}, {parametrisation}: {by_width:.4?}");
    [0, 1].map(|which| by_width[WIDTHS.len() - 1][which] / by_width[0][which])
}

#[test]
fn activations_and_logits_change_by_the_same_at_every_width_under_mup_and_by_more_in_the_standard() {
    for head in [Head::Tied, Head::Untied] {
        let [residual, logits] = growth(head, Parametrisation::MuP { base_width: 32 });
        // Finite widths scatter about 1; an exponent of 1/2 in the width would be 2.8.
        assert!((0.5..1.6).contains(&residual), "{head:?}: residual {residual}");
        assert!((0.5..1.6).contains(&logits), "{head:?}: logits {logits}");
        let [residual, logits] = growth(head, Parametrisation::Standard);
        assert!(residual > 2.0 && logits > 4.0, "{head:?}: residual {residual}, logits {logits}");
    }
}

#[test]
fn activations_change_by_the_same_at_every_depth_under_complete_p_and_by_more_under_mup() {
    let growth = |parametrisation: Parametrisation| {
        let [shallow, deep] =
            [2, 16].map(|n_layer| changes(&spec(32, n_layer, Head::Untied, parametrisation)));
        println!("{parametrisation}: {shallow:.4?} {deep:.4?}");
        deep[0] / shallow[0]
    };
    let complete_p = growth(Parametrisation::CompleteP { base_width: 32, base_depth: 2, alpha: 1.0 });
    let mup = growth(Parametrisation::MuP { base_width: 32 });
    assert!((0.5..1.6).contains(&complete_p), "{complete_p}");
    assert!(mup > 1.5 * complete_p, "muP {mup}, CompleteP {complete_p}");
}
