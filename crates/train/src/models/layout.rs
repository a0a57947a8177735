//! The tensors of a model: names, shapes and roles, as in `transformers`' Llama. Knows nothing of burn.

use scalelaw_schema::model::{Head, ModelShape, ModelSpec, ParamCount};

/// One trainable tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name in `weights.safetensors`.
    pub name: String,
    /// Part of the count that it belongs to.
    pub group: ParamGroup,
    /// What it does, which decides how it begins and whether it decays.
    pub role: TensorRole,
    /// Rows as saved: outputs of a projection, tokens of an embedding, 1 for a gain.
    pub rows: usize,
    /// Columns as saved: inputs of a projection, width of an embedding or a gain.
    pub cols: usize,
}

/// Groups of [`ParamCount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamGroup {
    /// Token embedding.
    Embedding,
    /// Projections of the attention.
    Attention,
    /// Matrices of the MLPs.
    Mlp,
    /// Gains of the norms.
    Norm,
    /// Output projection.
    Head,
}

/// What a tensor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorRole {
    /// A vector for each token, `[vocab_size, d_model]`.
    Embedding,
    /// A matrix, saved as `[out, in]`.
    Projection,
    /// A matrix whose output is added to the residual stream.
    Residual,
    /// Gains of a norm, saved as `[d_model]`.
    Gain,
}

impl TensorSpec {
    /// Numbers in it.
    pub fn n_elements(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the trainer holds it as the transpose of what is saved. A projection computes `x · W` with
    /// W `[in, out]`, whose gradient then needs no transposition.
    pub fn is_transposed(&self) -> bool {
        matches!(self.role, TensorRole::Projection | TensorRole::Residual)
    }

    /// Rows and columns as held by the trainer.
    pub fn held_shape(&self) -> [usize; 2] {
        if self.is_transposed() { [self.cols, self.rows] } else { [self.rows, self.cols] }
    }

    /// Shape as saved.
    pub fn saved_shape(&self) -> Vec<usize> {
        match self.role {
            TensorRole::Gain => vec![self.cols],
            _ => vec![self.rows, self.cols],
        }
    }

    /// Weight decay acts on matrices only, embedding and head included.
    pub fn is_decayed(&self) -> bool {
        self.role != TensorRole::Gain
    }

    /// Whether it belongs to one of the blocks.
    pub fn is_in_block(&self) -> bool {
        self.name.starts_with("model.layers.")
    }

    /// Whether attention scores are linear in it alone: the projection to queries.
    pub fn is_query(&self) -> bool {
        self.name.ends_with(".q_proj.weight")
    }
}

/// Tensors of one block of a transformer, in the order of [`tensors`].
pub const BLOCK_TENSORS: usize = 9;

/// All tensors of a model in a fixed order, that of the files.
pub fn tensors(model: &ModelSpec) -> Vec<TensorSpec> {
    match model {
        ModelSpec::Transformer(shape) => transformer_tensors(shape),
    }
}

/// Embedding, blocks (input norm, q, k, v, o, norm, gate, up, down), last norm, and the head unless it is tied.
fn transformer_tensors(shape: &ModelShape) -> Vec<TensorSpec> {
    use ParamGroup::{Attention, Embedding, Mlp, Norm};
    let (c, f, v) = (shape.d_model, shape.d_ff, shape.vocab_size);
    let tensor = |name: String, group, role, rows, cols| TensorSpec { name, group, role, rows, cols };
    let mut specs =
        vec![tensor("model.embed_tokens.weight".to_string(), Embedding, TensorRole::Embedding, v, c)];
    for layer in 0..shape.n_layer {
        let block = [
            ("input_layernorm", Norm, TensorRole::Gain, 1, c),
            ("self_attn.q_proj", Attention, TensorRole::Projection, c, c),
            ("self_attn.k_proj", Attention, TensorRole::Projection, c, c),
            ("self_attn.v_proj", Attention, TensorRole::Projection, c, c),
            ("self_attn.o_proj", Attention, TensorRole::Residual, c, c),
            ("post_attention_layernorm", Norm, TensorRole::Gain, 1, c),
            ("mlp.gate_proj", Mlp, TensorRole::Projection, f, c),
            ("mlp.up_proj", Mlp, TensorRole::Projection, f, c),
            ("mlp.down_proj", Mlp, TensorRole::Residual, c, f),
        ];
        debug_assert_eq!(block.len(), BLOCK_TENSORS);
        specs.extend(block.into_iter().map(|(name, group, role, rows, cols)| {
            tensor(format!("model.layers.{layer}.{name}.weight"), group, role, rows, cols)
        }));
    }
    specs.push(tensor("model.norm.weight".to_string(), Norm, TensorRole::Gain, 1, c));
    if shape.head == Head::Untied {
        specs.push(tensor("lm_head.weight".to_string(), ParamGroup::Head, TensorRole::Projection, v, c));
    }
    specs
}

/// N by group, counted from tensors: `(group, elements)` of each.
pub fn count(tensors: impl Iterator<Item = (ParamGroup, usize)>) -> ParamCount {
    let mut count = ParamCount { embedding: 0, attention: 0, mlp: 0, norm: 0, head: 0 };
    for (group, n_elements) in tensors {
        let sum = match group {
            ParamGroup::Embedding => &mut count.embedding,
            ParamGroup::Attention => &mut count.attention,
            ParamGroup::Mlp => &mut count.mlp,
            ParamGroup::Norm => &mut count.norm,
            ParamGroup::Head => &mut count.head,
        };
        *sum += n_elements as u64;
    }
    count
}
