use burn::tensor::Device;
use scalelaw_schema::model::{Head, ModelShape};
use scalelaw_schema::recipe::Precision;

use super::transformer::Backend;
use super::*;
use crate::cpu::product;
use crate::testing;

/// Both backends of a model for sequences of `context_len` tokens, the fused one first.
fn backends(shape: &ModelShape, context_len: usize, device: &Device) -> [Backend; 2] {
    let fused = Backend::new(shape, context_len, device);
    assert!(matches!(fused, Backend::Fused(_)));
    [fused, Backend::composed(shape, context_len, device)]
}

#[test]
fn tensors_count_as_the_schema_counts_them() {
    let device = Device::flex();
    for (n_layer, d_model, n_head, d_ff, vocab_size, head) in [
        (1, 8, 1, 20, 11, Head::Tied),
        (2, 16, 4, 48, 257, Head::Untied),
        (3, 24, 2, 64, 30, Head::Untied),
        (5, 12, 3, 7, 5, Head::Tied),
    ] {
        let shape = ModelShape { n_layer, d_model, n_head, d_ff, vocab_size, head };
        let model = testing::model(&shape, 0.02, 0, &device);
        assert_eq!(model.params(), shape.params(), "{shape:?}");
    }
}

#[test]
fn a_fresh_model_guesses_evenly_and_later_tokens_change_nothing_before_them() {
    let device = Device::flex();
    let model = testing::model(&testing::shape(Head::Untied), 0.02, 1, &device);
    let backend = model.backend(8);
    let losses = |last: u16| {
        let mut inputs = testing::tokens(0, 16);
        inputs[15] = last;
        read(model.token_losses(&TokenBatch::new(&inputs, &testing::tokens(1, 16), 8, &device), &backend))
            .unwrap()
    };
    let (a, b) = (losses(0), losses(1));
    for loss in &a {
        // Four deviations of a logit, 0.02·√16 each.
        assert!((loss - 29f32.ln()).abs() < 0.32, "{loss}");
    }
    assert_eq!(a[..15], b[..15]);
    assert_ne!(a[15], b[15]);
}

#[test]
fn logits_in_parts_give_the_losses_and_gradients_of_each_sequence_alone() {
    let device = Device::flex();
    // 64 MiB hold the logits of 419 tokens: four sequences of 128 are cut in the last one. Fused, 256 are
    // computed at once.
    let vocab_size = 40_000;
    let shape = ModelShape { n_layer: 1, d_model: 8, n_head: 1, d_ff: 8, vocab_size, head: Head::Untied };
    assert!((composed::MAX_LOGIT_BYTES / (4 * vocab_size)..512).contains(&419));
    let model = testing::model(&shape, 0.5, 1, &device).tracked();
    for backend in backends(&shape, 128, &device) {
        check_parts(&model, &backend, &device);
    }
}

fn check_parts(model: &Model, backend: &Backend, device: &Device) {
    let text: Vec<u16> = (0..513u32).map(|idx| (idx * 7919 % 40_000) as u16).collect();
    let run = |from: usize, to: usize| {
        let batch = TokenBatch::new(&text[from..to], &text[from + 1..to + 1], 128, device);
        let losses = model.token_losses(&batch, backend);
        let sum = model.mean_loss(&batch, backend, Precision::F32).mul_scalar((to - from) as f64);
        let grads = sum.backward();
        (read(losses).unwrap(), read(model.weights[2].grad(&grads).unwrap()).unwrap())
    };
    let (losses, grad) = run(0, 512);
    let mut grad_sum = vec![0.0; grad.len()];
    for from in [0, 128, 256, 384] {
        let (alone, part) = run(from, from + 128);
        for (a, b) in losses[from..].iter().zip(&alone) {
            assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
        }
        grad_sum.iter_mut().zip(&part).for_each(|(sum, g)| *sum += g);
    }
    let size = grad.iter().fold(0f32, |max, g| max.max(g.abs()));
    for (a, b) in grad.iter().zip(&grad_sum) {
        // Sums over 512 tokens in another order.
        assert!((a - b).abs() < 1e-4 * size, "{a} {b}, largest {size}");
    }
}

#[test]
fn fused_parts_have_the_losses_and_gradients_of_the_composed_ones() {
    let device = Device::flex();
    // Sizes that are no multiples of a register, of a tile, of a panel or of a block of rows or queries.
    for (n_layer, d_model, n_head, d_ff, vocab_size, head, t, b) in [
        (1, 8, 1, 20, 11, Head::Tied, 5, 3),
        (2, 36, 3, 7, 17, Head::Untied, 2, 4),
        (2, 48, 3, 80, 300, Head::Untied, 70, 2),
        (1, 64, 2, 176, 1024, Head::Tied, 128, 1),
        (1, 80, 5, 200, 130, Head::Untied, 65, 3),
        (1, 16, 4, 16, 5000, Head::Tied, 130, 3),
    ] {
        let shape = ModelShape { n_layer, d_model, n_head, d_ff, vocab_size, head };
        let model = testing::model(&shape, 0.3, 4, &device);
        let text: Vec<u16> = (0..=b * t).map(|idx| ((idx * 7919 + idx * idx) % vocab_size) as u16).collect();
        let model = model.tracked();
        let run = |backend: Backend| {
            let batch = TokenBatch::new(&text[..b * t], &text[1..], t, &device);
            let scores = read(model.token_scores(&batch, &backend)).unwrap();
            let loss = model.mean_loss(&batch, &backend, Precision::F32);
            let mut grads = loss.clone().mul_scalar(3.0).backward();
            let grads: Vec<Vec<f32>> = model
                .weights
                .iter()
                .map(|weight| read(weight.grad_remove(&mut grads).unwrap()).unwrap())
                .collect();
            (scores, read(loss).unwrap()[0], grads)
        };
        let [fused, composed] = backends(&shape, t, &device).map(run);
        // Losses, then margins.
        assert_eq!(fused.0.len(), 2 * b * t);
        for (a, b) in fused.0.iter().zip(&composed.0) {
            assert!((a - b).abs() < 2e-5 * b.abs().max(1.0), "{shape:?}: {a} {b}");
        }
        assert!((fused.1 - composed.1).abs() < 1e-5 * composed.1, "{shape:?}: {} {}", fused.1, composed.1);
        for ((a, b), spec) in fused.2.iter().zip(&composed.2).zip(model.specs()) {
            assert_eq!(a.len(), b.len(), "{}", spec.name);
            let size = b.iter().fold(0f32, |max, g| max.max(g.abs()));
            for (idx, (a, b)) in a.iter().zip(b).enumerate() {
                // Sums of some hundred terms in another order.
                let name = &spec.name;
                let tolerance = 1e-4 * size + 1e-7;
                assert!((a - b).abs() < tolerance, "{shape:?} {name}[{idx}]: {a} {b}, largest {size}");
            }
        }
    }
}

#[test]
fn fused_parts_give_the_same_bits_for_one_thread_and_for_three() {
    let shape =
        ModelShape { n_layer: 2, d_model: 72, n_head: 3, d_ff: 200, vocab_size: 700, head: Head::Tied };
    let text: Vec<u16> = (0..=3 * 150usize).map(|idx| (idx * 7919 % 700) as u16).collect();
    let run = |threads: usize, precision: Precision| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex();
            let model = testing::model(&shape, 0.1, 4, &device).tracked();
            let batch = TokenBatch::new(&text[..450], &text[1..], 150, &device);
            let loss = model.mean_loss(&batch, &model.backend(150), precision);
            let mut grads = loss.clone().backward();
            let mut bits: Vec<u32> = Vec::new();
            for weight in &model.weights {
                bits.extend(
                    read(weight.grad_remove(&mut grads).unwrap()).unwrap().iter().map(|x| x.to_bits()),
                );
            }
            bits.push(read(loss).unwrap()[0].to_bits());
            bits
        })
    };
    assert!(run(1, Precision::F32) == run(3, Precision::F32));
    if product::has(Precision::Bf16) {
        assert!(run(1, Precision::Bf16) == run(3, Precision::Bf16));
        assert!(run(1, Precision::Bf16) != run(1, Precision::F32));
    }
}

#[test]
fn bf16_changes_losses_and_gradients_by_its_rounding_alone() {
    if !product::has(Precision::Bf16) {
        println!("skipped: this processor has no AVX512_BF16");
        return;
    }
    let device = Device::flex();
    for head in [Head::Tied, Head::Untied] {
        let shape = ModelShape { n_layer: 2, d_model: 48, n_head: 3, d_ff: 136, vocab_size: 300, head };
        let model = testing::model(&shape, 0.1, 4, &device).tracked();
        let text: Vec<u16> = (0..=2 * 70usize).map(|idx| (idx * 7919 % 300) as u16).collect();
        let batch = TokenBatch::new(&text[..140], &text[1..], 70, &device);
        let run = |precision: Precision| {
            let loss = model.mean_loss(&batch, &model.backend(70), precision);
            let mut grads = loss.clone().backward();
            let grads: Vec<Vec<f32>> = model
                .weights
                .iter()
                .map(|weight| read(weight.grad_remove(&mut grads).unwrap()).unwrap())
                .collect();
            (read(loss).unwrap()[0], grads)
        };
        let (full, half) = (run(Precision::F32), run(Precision::Bf16));
        // A factor is off by 2^-9 at most, and the errors of many terms cancel.
        assert!((full.0 - half.0).abs() < 2e-3 * full.0, "{} {}", full.0, half.0);
        for ((full, half), spec) in full.1.iter().zip(&half.1).zip(model.specs()) {
            let size = full.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let apart = full.iter().zip(half).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            assert!(apart < 0.03 * size, "{}: {apart} of {size}", spec.name);
        }
    }
}

/// Attention and norms by their definitions, in `f64` and one number at a time.
#[test]
fn losses_agree_with_a_plain_computation() {
    let device = Device::flex();
    for head in [Head::Tied, Head::Untied] {
        let shape = testing::shape(head);
        // Large weights, so that every part of the model matters.
        let model = testing::model(&shape, 0.4, 5, &device);
        let text = testing::tokens(3, 7);
        let batch = TokenBatch::new(&text[..6], &text[1..], 6, &device);
        let plain = testing::plain_forward(&shape, &testing::weights(&model), &text);
        let expected = [plain.losses(&text), plain.margins(&text)].concat();
        for backend in backends(&shape, 6, &device) {
            let found = read(model.token_scores(&batch, &backend)).unwrap();
            assert_eq!(read(model.token_losses(&batch, &backend)).unwrap(), found[..6]);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                // f32 against f64 over sums of up to 24 terms.
                let tolerance = 2e-5 * expected.abs().max(1.0);
                assert!((f64::from(*found) - expected).abs() < tolerance, "{found} {expected}");
            }
        }
    }
}

#[test]
fn gradients_with_respect_to_the_embedded_tokens_agree_with_finite_differences() {
    let device = Device::flex();
    let shape = testing::shape(Head::Untied);
    let model = testing::model(&shape, 0.3, 6, &device).tracked();
    let text = testing::tokens(5, 13);
    let batch = TokenBatch::new(&text[..12], &text[1..], 6, &device);
    for backend in backends(&shape, 6, &device) {
        let forward = model.forward(&backend, Precision::F32);
        let loss = |x: Tensor<2>| forward.loss_from(forward.blocks(x), batch.targets.clone());
        let x = forward.embed(batch.inputs.clone()).detach().require_grad();
        let grads = loss(x.clone()).backward();
        let grad = x.grad(&grads).unwrap();
        let norm: f64 = read(grad.clone()).unwrap().iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        // Along the gradient itself, where the difference is largest against the rounding of f32.
        let h = 1e-3;
        let direction = grad.mul_scalar(h / norm);
        let at = |x: Tensor<2>| f64::from(read(loss(x)).unwrap()[0]);
        let x = x.without_autodiff();
        let (above, below) = (x.clone() + direction.clone(), x - direction);
        let slope = (at(above.autodiff()) - at(below.autodiff())) / (2.0 * h);
        // As for the weights: losses of about 3 carry some 4e-7 of rounding, and the third derivative adds its part.
        assert!((slope - norm).abs() < 1e-4 + 1e-3 * norm, "{backend:?}: slope {slope}, norm {norm}");
    }
}
