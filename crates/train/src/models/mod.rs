//! Models on a device: their weights, and what is computed from them. Knows nothing of files, schedules or
//! optimizers.
//!
//! Each family has its tensors in [`layout`] and its forward pass in a module of its own, [`transformer`].
//! [`init`] and [`scaling`] say how the weights begin and which factors the parametrisation gives them. The
//! parts of a forward pass are single operations on the processor, [`fused`], and composed of burn's own on
//! every other device, [`composed`].

pub mod composed;
pub mod fused;
pub mod init;
pub mod layout;
pub mod scaling;
pub mod transformer;

#[cfg(test)]
mod tests;

use std::convert::Infallible;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use scalelaw_schema::model::{ModelSpec, ParamCount};
use scalelaw_schema::recipe::Precision;
use scalelaw_schema::train_spec::TrainSpec;

use crate::error::TrainError;
use init::initial_values;
use layout::TensorSpec;
use scaling::tensor_scales;
use transformer::{Backend, Transformer};

/// Weights of one model.
#[derive(Debug, Clone)]
pub struct Model {
    spec: ModelSpec,
    specs: Vec<TensorSpec>,
    /// In the order of `specs`, each as [`TensorSpec::held_shape`].
    weights: Vec<Tensor<2>>,
}

/// Tokens of some sequences on the device. `B` sequences of `T` tokens, `N = B·T`.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// `[B, T]`
    pub inputs: Tensor<2, Int>,
    /// `[N, 1]`
    pub targets: Tensor<2, Int>,
}

impl TokenBatch {
    /// `inputs` and `targets` are row-major `[B, T]`.
    pub fn new(inputs: &[u16], targets: &[u16], context_len: usize, device: &Device) -> TokenBatch {
        let n = inputs.len();
        let ints = |tokens: &[u16], dims: [usize; 2]| {
            let data: Vec<i32> = tokens.iter().map(|&token| i32::from(token)).collect();
            Tensor::from_data(TensorData::new(data, dims), (device, DType::I32))
        };
        TokenBatch { inputs: ints(inputs, [n / context_len, context_len]), targets: ints(targets, [n, 1]) }
    }
}

impl Model {
    /// Initial weights of a run, drawn with its seed.
    pub fn initial(train: &TrainSpec, device: &Device) -> Model {
        let ModelSpec::Transformer(shape) = &train.model;
        let specs = layout::tensors(&train.model);
        let mut scales = tensor_scales(&specs, &train.model, &train.recipe.parametrisation).into_iter();
        Model::build(&train.model, device, |spec| {
            let mut values = initial_values(spec, train.recipe.init, shape.n_layer, train.seed);
            let factor = scales.next().expect("every tensor has a scale").init;
            if factor != 1.0 {
                values.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
            }
            Ok::<_, Infallible>(values)
        })
        .unwrap_or_else(|never| match never {})
    }

    /// Weights from `values`, which gives each tensor in the order in which it is saved.
    ///
    /// # Errors
    /// Those of `values`.
    pub fn build<E>(
        model: &ModelSpec,
        device: &Device,
        mut values: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Model, E> {
        let specs = layout::tensors(model);
        let weights =
            specs.iter().map(|spec| Ok(to_device(values(spec)?, spec, device))).collect::<Result<_, E>>()?;
        Ok(Model { spec: model.clone(), specs, weights })
    }

    /// What its tensors are.
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }

    /// Its tensors in the order of [`Model::specs`].
    pub fn weights(&self) -> &[Tensor<2>] {
        &self.weights
    }

    /// The same for a change in place: whoever takes the tensors out must put them back.
    pub fn weights_mut(&mut self) -> &mut Vec<Tensor<2>> {
        &mut self.weights
    }

    /// N by group, counted from the tensors as they are on the device.
    pub fn params(&self) -> ParamCount {
        layout::count(
            self.specs
                .iter()
                .zip(&self.weights)
                .map(|(spec, weight)| (spec.group, weight.shape().num_elements())),
        )
    }

    /// The same weights as leaves of a gradient graph.
    pub fn tracked(&self) -> Model {
        Model {
            spec: self.spec.clone(),
            specs: self.specs.clone(),
            weights: self.weights.iter().map(|weight| weight.clone().autodiff().require_grad()).collect(),
        }
    }

    /// What computes this model on the device of its weights, over sequences of `context_len` tokens.
    pub fn backend(&self, context_len: usize) -> Backend {
        let ModelSpec::Transformer(shape) = &self.spec;
        Backend::new(shape, context_len, &self.weights[0].device().without_autodiff())
    }

    /// Its forward pass.
    ///
    /// # Panics
    /// Where the backend lacks the precision: [`crate::device::OpenDevice::check_precision`] tells before.
    pub fn forward<'a>(&'a self, backend: &'a Backend, precision: Precision) -> Transformer<'a> {
        let ModelSpec::Transformer(shape) = &self.spec;
        Transformer::new(shape, &self.weights, backend, precision)
    }

    /// Mean over the batch of the negative log-likelihood in nats, `[1]`, to be differentiated.
    pub fn mean_loss(&self, batch: &TokenBatch, backend: &Backend, precision: Precision) -> Tensor<1> {
        let forward = self.forward(backend, precision);
        let x = forward.blocks(forward.embed(batch.inputs.clone()));
        forward.loss_from(x, batch.targets.clone())
    }

    /// Negative log-likelihood of each target in nats, `[N]`, in the order of the batch. Not to be
    /// differentiated: that is [`Model::mean_loss`].
    pub fn token_losses(&self, batch: &TokenBatch, backend: &Backend) -> Tensor<1> {
        self.token_scores(batch, backend).narrow(0, 0, 1).squeeze_dim(0)
    }

    /// The same, and by how many nats each target is above the most likely other token, `[2, N]`: where that is
    /// positive, greedy decoding writes the target.
    pub fn token_scores(&self, batch: &TokenBatch, backend: &Backend) -> Tensor<2> {
        let forward = self.forward(backend, Precision::F32);
        let x = forward.blocks(forward.embed(batch.inputs.clone()));
        forward.scores_from(x, batch.targets.clone())
    }
}

/// A tensor from values in the order in which they are saved.
pub fn to_device(values: Vec<f32>, spec: &TensorSpec, device: &Device) -> Tensor<2> {
    let values = if spec.is_transposed() { transposed(&values, spec.rows, spec.cols) } else { values };
    Tensor::from_data(TensorData::new(values, spec.held_shape()), (device, DType::F32))
}

/// Values of a tensor in the order in which they are saved.
///
/// # Errors
/// What the device says when it is read.
pub fn to_host(tensor: &Tensor<2>, spec: &TensorSpec) -> Result<Vec<f32>, TrainError> {
    let values = read(tensor.clone())?;
    Ok(if spec.is_transposed() { transposed(&values, spec.cols, spec.rows) } else { values })
}

/// Reads a tensor, which waits for everything that it depends on.
///
/// # Errors
/// What the device says.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let data = tensor.without_autodiff().try_into_data().map_err(|e| TrainError::backend(&e.to_string()))?;
    data.try_into_vec::<f32>().map_err(|e| TrainError::Backend { why: format!("{e:?}") })
}

fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|idx| values[(idx % rows) * cols + idx / rows]).collect()
}
