//! How fast a device is, measured in a few seconds: for estimates before training and for MFU.

use std::time::{Duration, Instant};

use burn::tensor::{Tensor, TensorData};
use scalelaw_data::Batch;
use scalelaw_schema::device::{DeviceKind, DeviceSpeed, TrainingSpeed};
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

use crate::device::OpenDevice;
use crate::error::TrainError;
use crate::models::{self, Model};
use crate::steps::{Step, TrainState};

/// What is timed on one kind of device.
struct Sizes {
    /// Sides of the square products.
    matmul_sides: [usize; 3],
    /// Products for each number that is read, so that reading does not count.
    products: usize,
    /// n_layer, d_model, n_head: where the rate depends most on the size.
    shapes: [(usize, usize, usize); 3],
}

const PROCESSOR: Sizes =
    Sizes { matmul_sides: [256, 512, 1024], products: 1, shapes: [(2, 32, 1), (3, 64, 2), (4, 128, 4)] };
const GPU: Sizes = Sizes {
    matmul_sides: [1024, 2048, 4096],
    products: 8,
    shapes: [(4, 128, 4), (6, 384, 6), (8, 1024, 16)],
};
/// Vocabulary of the timed models.
const VOCAB_SIZE: usize = scalelaw_schema::BYTE_VOCAB_SIZE;
/// Context and batch of the timed models.
const PHASE: Phase = Phase { context_len: 128, batch_sequences: 8, steps: u64::MAX };
/// Time for each measurement after one warm-up call.
const TIME_FOR_EACH: Duration = Duration::from_millis(400);

/// Measures the rate of matrix products (the best of a few sides) and of training at three sizes. `slots`
/// says how many processes do so at once, which the caller arranges: it is only noted.
///
/// # Errors
/// What the device says.
pub fn measure_speed(device: &OpenDevice, slots: usize) -> Result<DeviceSpeed, TrainError> {
    device.run(|| {
        let sizes = match device.report.kind {
            DeviceKind::Cpu | DeviceKind::Software => PROCESSOR,
            _ => GPU,
        };
        let mut matmul_flops_per_second: f64 = 0.0;
        for side in sizes.matmul_sides {
            let rate = matmul_rate(device, side, sizes.products)?;
            matmul_flops_per_second = matmul_flops_per_second.max(rate);
        }
        let training = sizes.shapes.into_iter().map(|shape| training_rate(device, shape));
        Ok(DeviceSpeed { matmul_flops_per_second, training: training.collect::<Result<_, _>>()?, slots })
    })
}

fn matmul_rate(device: &OpenDevice, side: usize, products: usize) -> Result<f64, TrainError> {
    // Rows that sum to 1: a chain of products neither grows nor fades.
    let values = vec![1.0 / side as f32; side * side];
    let a = Tensor::<2>::from_data(TensorData::new(values, [side, side]), &device.device);
    let seconds = seconds_per_call(|| {
        let product = (0..products).fold(a.clone(), |product, _| product.matmul(a.clone()));
        // One number is read, which waits for the products.
        models::read(product.narrow(0, 0, 1).narrow(1, 0, 1)).map(drop)
    })?;
    Ok(products as f64 * 2.0 * (side as f64).powi(3) / seconds)
}

fn training_rate(
    device: &OpenDevice,
    (n_layer, d_model, n_head): (usize, usize, usize),
) -> Result<TrainingSpeed, TrainError> {
    let model = ModelSpec::Transformer(ModelShape {
        n_layer,
        d_model,
        n_head,
        d_ff: (8 * d_model / 3).next_multiple_of(8),
        vocab_size: VOCAB_SIZE,
        head: Head::Tied,
    });
    let n = PHASE.batch_tokens() as usize;
    let tokens: Vec<u16> = (0..=n).map(|idx| (idx * 31 % VOCAB_SIZE) as u16).collect();
    let batch = Batch { inputs: tokens[..n].to_vec(), targets: tokens[1..].to_vec() };
    let train = TrainSpec {
        model,
        phases: vec![PHASE],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 1e-3,
            warmup_steps: 0,
            schedule: Schedule::Constant,
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture: Mixture { sources: vec![MixtureSource { tokens: String::new(), weight: 1.0 }] },
        seed: 0,
        start: Start::Init,
    };
    let mut state = TrainState::new(Model::initial(&train, &device.device));
    let backend = state.model.backend(PHASE.context_len);
    let step = Step { train: &train, micro_batch_tokens: PHASE.batch_tokens(), device: &device.device };
    let seconds = seconds_per_call(|| {
        let unread = step.take(&mut state, &batch, &backend);
        models::read(unread.norm).map(drop)
    })?;
    let per_step = train.model.train_flops(PHASE.context_len).total() * PHASE.batch_sequences as f64;
    Ok(TrainingSpeed { n_total: train.model.params().total() as f64, flops_per_second: per_step / seconds })
}

/// Median time of a call after one that is not counted, which compiles kernels and fills caches.
fn seconds_per_call(mut call: impl FnMut() -> Result<(), TrainError>) -> Result<f64, TrainError> {
    call()?;
    let began = Instant::now();
    let mut seconds = Vec::new();
    while seconds.is_empty() || began.elapsed() < TIME_FOR_EACH {
        let start = Instant::now();
        call()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::open_device;
    use scalelaw_schema::device::DeviceChoice;

    #[test]
    fn training_is_slower_than_matrix_products_alone() {
        let device = open_device(DeviceChoice::Cpu, 1).unwrap();
        let speed = measure_speed(&device, 1).unwrap();
        assert_eq!((speed.training.len(), speed.slots), (3, 1));
        assert!(speed.training.is_sorted_by(|a, b| a.n_total < b.n_total), "{speed:?}");
        for training in &speed.training {
            assert!(training.flops_per_second > 0.0, "{speed:?}");
            // Half as much again, since other work on the machine disturbs each measurement on its own.
            assert!(training.flops_per_second < 1.5 * speed.matmul_flops_per_second, "{speed:?}");
        }
    }
}
