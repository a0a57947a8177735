//! The parts of the model as single operations of burn's processor backend, with backward passes of their own: the
//! kernels are in [`crate::cpu`]. Each does what its twin in [`super::composed`] does on every device.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{Bytes, DType, Device, Int, Shape, Tensor};
use scalelaw_schema::recipe::Precision;

use crate::cpu::attention::{self, Attention};
use crate::cpu::head::{self, HeadWeight};
use crate::cpu::mlp::{self, Mlp};
use crate::cpu::rows::{self, Rotary};
use crate::cpu::{adamw, embedding};

/// What an attention knows beside its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSpec {
    /// Positions, which also say T and D.
    pub rotary: Arc<Rotary>,
    /// Of the products with weights.
    pub precision: Precision,
}

/// What the last part knows beside its tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadSpec {
    /// Whether the weight is the embedding `[V, C]` rather than a matrix `[C, V]`.
    pub is_tied: bool,
    /// Of the products with the weight.
    pub precision: Precision,
}

/// Whether a device has the fused operations: the processor.
pub fn is_available(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// The operations. Letters in shapes are those of [`super::transformer`].
#[backend_extension(Flex, Autodiff)]
pub trait FusedOps: Backend {
    /// `[N, C]` from a table `[V, C]` and tokens `[B, T]`.
    fn fused_embedding(table: FloatTensor<Self>, tokens: IntTensor<Self>) -> FloatTensor<Self>;

    /// [`Attention`] on x `[N, C]`.
    fn fused_attention(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        o: FloatTensor<Self>,
        spec: AttentionSpec,
    ) -> FloatTensor<Self>;

    /// [`Mlp`] on x `[N, C]`.
    fn fused_mlp(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;

    /// Loss and margin of each target `[2, N]`, which cannot be differentiated.
    fn fused_token_scores(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self>;

    /// Mean loss `[1]`; its gradient is computed in the same pass.
    fn fused_mean_loss(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self>;
}

/// The same tensor with its numbers one after the other from the first on.
fn plain(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The numbers of a [`plain`] tensor.
fn floats(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage::<f32>()[..tensor.layout().num_elements()]
}

/// Tokens are always `i32` here.
fn ints(tensor: &FlexTensor) -> &[i32] {
    &tensor.storage::<i32>()[..tensor.layout().num_elements()]
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

fn cols(tensor: &FlexTensor) -> usize {
    tensor.shape()[1]
}

/// Registers the gradient of each parent that has one, in the parent's shape. A macro, since burn keeps the type
/// of a parent to itself.
macro_rules! register {
    ($grads:ident, $parents:expr, $values:expr, $shapes:expr) => {
        for ((parent, values), shape) in $parents.into_iter().zip($values).zip($shapes) {
            if let Some(parent) = parent {
                $grads.register::<Flex>(parent.id, tensor(values, shape));
            }
        }
    };
}

/// x and the weights of an attention, each [`plain`].
type AttentionInputs = [FlexTensor; 6];

fn attention_of<'a>(inputs: &'a AttentionInputs, spec: &'a AttentionSpec) -> Attention<'a> {
    let [_, gain, q, k, v, o] = inputs.each_ref().map(floats);
    Attention { gain, q, k, v, o, rotary: &spec.rotary, precision: spec.precision }
}

/// x and the weights of an MLP, each [`plain`].
type MlpInputs = [FlexTensor; 5];

fn mlp_of(inputs: &MlpInputs, precision: Precision) -> Mlp<'_> {
    let [_, gain, gate, up, down] = inputs.each_ref().map(floats);
    Mlp { gain, gate, up, down, precision }
}

/// x, gain and weight of a head, each [`plain`].
type HeadInputs = [FlexTensor; 3];

fn head_of(inputs: &HeadInputs, spec: HeadSpec) -> head::Head<'_> {
    let [_, gain, weight] = inputs.each_ref().map(floats);
    let weight = if spec.is_tied { HeadWeight::Tied(weight) } else { HeadWeight::Untied(weight) };
    head::Head { gain, weight, precision: spec.precision }
}

impl FusedOps for Flex {
    fn fused_embedding(table: FloatTensor<Self>, tokens: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, tokens) = (plain(table), plain(tokens));
        let c = cols(&table);
        let tokens = ints(&tokens);
        tensor(embedding::forward(floats(&table), tokens, c), Shape::new([tokens.len(), c]))
    }

    fn fused_attention(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        o: FloatTensor<Self>,
        spec: AttentionSpec,
    ) -> FloatTensor<Self> {
        let inputs = [x, gain, q, k, v, o].map(plain);
        let (y, _) = attention_of(&inputs, &spec).forward(floats(&inputs[0]));
        tensor(y, inputs[0].shape())
    }

    fn fused_mlp(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let inputs = [x, gain, gate, up, down].map(plain);
        let y = mlp_of(&inputs, precision).value(floats(&inputs[0]));
        tensor(y, inputs[0].shape())
    }

    fn fused_token_scores(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self> {
        let (inputs, targets) = ([x, gain, weight].map(plain), plain(targets));
        let targets = ints(&targets);
        let scores = head_of(&inputs, spec).token_scores(floats(&inputs[0]), targets);
        tensor(scores, Shape::new([2, targets.len()]))
    }

    fn fused_mean_loss(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self> {
        let (inputs, targets) = ([x, gain, weight].map(plain), plain(targets));
        let (loss, _) = head_of(&inputs, spec).mean_loss(floats(&inputs[0]), ints(&targets));
        tensor(vec![loss], Shape::new([1]))
    }
}

#[derive(Debug)]
struct EmbeddingBackward;

impl Backward<Flex, 1> for EmbeddingBackward {
    /// Tokens and the shape of the table.
    type State = (FlexTensor, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let x_grad = plain(grads.consume::<Flex>(&ops.node));
        let (tokens, shape) = ops.state;
        let table_grad = embedding::backward(ints(&tokens), floats(&x_grad), shape[0], shape[1]);
        register!(grads, ops.parents, [table_grad], [shape]);
    }
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 6> for AttentionBackward {
    type State = (AttentionInputs, attention::Saved, AttentionSpec);

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let y_grad = plain(grads.consume::<Flex>(&ops.node));
        let (inputs, saved, spec) = ops.state;
        let of = attention_of(&inputs, &spec);
        let attention::Grads { x, gain, q, k, v, o } =
            of.backward(floats(&inputs[0]), saved, floats(&y_grad));
        register!(grads, ops.parents, [x, gain, q, k, v, o], inputs.each_ref().map(TensorMetadata::shape));
    }
}

#[derive(Debug)]
struct MlpBackward;

impl Backward<Flex, 5> for MlpBackward {
    type State = (MlpInputs, mlp::Saved, Precision);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let y_grad = plain(grads.consume::<Flex>(&ops.node));
        let (inputs, saved, precision) = ops.state;
        let of = mlp_of(&inputs, precision);
        let mlp::Grads { x, gain, gate, up, down } = of.backward(floats(&inputs[0]), saved, floats(&y_grad));
        register!(
            grads,
            ops.parents,
            [x, gain, gate, up, down],
            inputs.each_ref().map(TensorMetadata::shape)
        );
    }
}

#[derive(Debug)]
struct MeanLossBackward;

impl Backward<Flex, 3> for MeanLossBackward {
    /// Gradients of the loss by x, gain and weight, and their shapes.
    type State = (head::Grads, [Shape; 3]);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let factor = floats(&plain(grads.consume::<Flex>(&ops.node)))[0];
        let (head::Grads { x, gain, weight }, shapes) = ops.state;
        let mut values = [x, gain, weight];
        if factor != 1.0 {
            values.iter_mut().for_each(|values| rows::scale(values, factor));
        }
        register!(grads, ops.parents, values, shapes);
    }
}

impl<S: CheckpointStrategy> FusedOps for Autodiff<Flex, S> {
    fn fused_embedding(table: FloatTensor<Self>, tokens: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, node) = table.into_parts();
        match EmbeddingBackward.prepare::<S>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (tokens, shape) = (plain(tokens), table.shape());
                let x = Flex::fused_embedding(table, tokens.clone());
                prepared.finish((tokens, shape), x)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(Flex::fused_embedding(table, tokens)),
        }
    }

    fn fused_attention(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        o: FloatTensor<Self>,
        spec: AttentionSpec,
    ) -> FloatTensor<Self> {
        let [(x, x_node), (gain, gain_node), (q, q_node), (k, k_node), (v, v_node), (o, o_node)] =
            [x, gain, q, k, v, o].map(FloatTensor::<Self>::into_parts);
        let nodes = [x_node, gain_node, q_node, k_node, v_node, o_node];
        match AttentionBackward.prepare::<S>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = [x, gain, q, k, v, o].map(plain);
                let (y, saved) = attention_of(&inputs, &spec).forward(floats(&inputs[0]));
                let shape = inputs[0].shape();
                prepared.finish((inputs, saved, spec), tensor(y, shape))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(Flex::fused_attention(x, gain, q, k, v, o, spec)),
        }
    }

    fn fused_mlp(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let [(x, x_node), (gain, gain_node), (gate, gate_node), (up, up_node), (down, down_node)] =
            [x, gain, gate, up, down].map(FloatTensor::<Self>::into_parts);
        let nodes = [x_node, gain_node, gate_node, up_node, down_node];
        match MlpBackward.prepare::<S>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = [x, gain, gate, up, down].map(plain);
                let (y, saved) = mlp_of(&inputs, precision).forward(floats(&inputs[0]));
                let shape = inputs[0].shape();
                prepared.finish((inputs, saved, precision), tensor(y, shape))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Flex::fused_mlp(x, gain, gate, up, down, precision))
            }
        }
    }

    fn fused_token_scores(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self> {
        let [x, gain, weight] = [x, gain, weight].map(|tensor| tensor.into_parts().0);
        Self::from_inner(Flex::fused_token_scores(x, gain, weight, targets, spec))
    }

    fn fused_mean_loss(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        spec: HeadSpec,
    ) -> FloatTensor<Self> {
        let [(x, x_node), (gain, gain_node), (weight, weight_node)] =
            [x, gain, weight].map(FloatTensor::<Self>::into_parts);
        match MeanLossBackward.prepare::<S>([x_node, gain_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (inputs, targets) = ([x, gain, weight].map(plain), plain(targets));
                let (loss, grads) = head_of(&inputs, spec).mean_loss(floats(&inputs[0]), ints(&targets));
                let shapes = inputs.each_ref().map(TensorMetadata::shape);
                prepared.finish((grads, shapes), tensor(vec![loss], Shape::new([1])))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Flex::fused_mean_loss(x, gain, weight, targets, spec))
            }
        }
    }
}

/// [`FusedOps::fused_embedding`] on tensors.
pub fn embedding(table: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_embedding(table.into_dispatch(), tokens.into_dispatch()))
}

/// [`FusedOps::fused_attention`] on tensors; `weights` are gain, q, k, v, o.
pub fn attention(x: Tensor<2>, weights: [&Tensor<2>; 5], spec: AttentionSpec) -> Tensor<2> {
    let [gain, q, k, v, o] = weights.map(|weight| weight.clone().into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_attention(x.into_dispatch(), gain, q, k, v, o, spec))
}

/// [`FusedOps::fused_mlp`] on tensors; `weights` are gain, gate, up, down.
pub fn mlp(x: Tensor<2>, weights: [&Tensor<2>; 4], precision: Precision) -> Tensor<2> {
    let [gain, gate, up, down] = weights.map(|weight| weight.clone().into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_mlp(x.into_dispatch(), gain, gate, up, down, precision))
}

/// [`FusedOps::fused_token_scores`] on tensors.
pub fn token_scores(
    x: Tensor<2>,
    gain: &Tensor<2>,
    weight: &Tensor<2>,
    targets: Tensor<2, Int>,
    spec: HeadSpec,
) -> Tensor<2> {
    let [gain, weight] = [gain, weight].map(|weight| weight.clone().into_dispatch());
    let targets = targets.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_token_scores(x.into_dispatch(), gain, weight, targets, spec))
}

/// [`FusedOps::fused_mean_loss`] on tensors.
pub fn mean_loss(
    x: Tensor<2>,
    gain: &Tensor<2>,
    weight: &Tensor<2>,
    targets: Tensor<2, Int>,
    spec: HeadSpec,
) -> Tensor<1> {
    let [gain, weight] = [gain, weight].map(|weight| weight.clone().into_dispatch());
    let targets = targets.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_mean_loss(x.into_dispatch(), gain, weight, targets, spec))
}

fn into_flex(tensor: Tensor<2>) -> FlexTensor {
    match tensor.without_autodiff().try_into_primitive::<Flex>() {
        Ok(tensor) => plain(tensor),
        Err(_) => unreachable!("fused operations run on the processor's backend"),
    }
}

/// `√(Σ g²)` over all tensors, summed in their order.
pub fn global_norm(grads: &[Tensor<2>]) -> f64 {
    grads.iter().map(|grad| adamw::sum_of_squares(floats(&into_flex(grad.clone())))).sum::<f64>().sqrt()
}

/// [`adamw::update`] of a tensor, in its own memory where nobody else holds it.
pub fn adamw(
    weight: Tensor<2>,
    grad: Tensor<2>,
    first: Tensor<2>,
    second: Tensor<2>,
    step: &adamw::Step,
) -> [Tensor<2>; 3] {
    let [mut weight, grad, mut first, mut second] = [weight, grad, first, second].map(into_flex);
    adamw::update(weight.storage_mut(), floats(&grad), first.storage_mut(), second.storage_mut(), step);
    [weight, first, second].map(Tensor::from_primitive::<Flex>)
}
