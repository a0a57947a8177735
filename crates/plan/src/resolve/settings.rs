//! Tokenizer, context and batch: what decides whether a cell can be trained. One [`Setting`] per combination.

use std::rc::Rc;

use scalelaw_schema::BYTE_VOCAB_SIZE;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::model::Head;
use scalelaw_schema::sweep::{SweepSpec, TokenizerChoice};

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::resolve::mixtures::vocab_size;
use crate::resolve::values::{counts, positive};
use crate::shapes::{ASPECT, Family, FamilySpec};

/// Tokens of one sequence.
const CONTEXT_LEN: f64 = 256.0;
/// Sequences of one step.
const BATCH_SEQUENCES: f64 = 16.0;

/// One combination of tokenizer, context and batch size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub tokenizer: TokenizerChoice,
    pub context_len: usize,
    pub batch_sequences: usize,
    pub family: Rc<Family>,
    /// Those of the three that are swept, in words; empty if none is.
    pub label: String,
}

impl Setting {
    pub fn batch_tokens(&self) -> f64 {
        (self.batch_sequences * self.context_len) as f64
    }
}

/// Every setting of the sweep.
pub(crate) fn settings(
    sweep: &SweepSpec,
    facts: &PlanFacts,
    rule: CountRule,
) -> Result<Vec<Setting>, PlanError> {
    let model = &sweep.model;
    let train = sweep.train.as_ref();
    let contexts = counts(model.context_len.as_ref(), CONTEXT_LEN, "model.context-len", 1)?;
    let batches = counts(
        train.and_then(|train| train.batch_sequences.as_ref()),
        BATCH_SEQUENCES,
        "train.batch-sequences",
        1,
    )?;
    let aspect = positive(model.aspect, ASPECT, "model.aspect")?;
    if let Some(d_head) = model.d_head
        && (d_head == 0 || !d_head.is_multiple_of(2))
    {
        return Err(PlanError::at(
            "model.d-head",
            format!("`{d_head}` is not a valid head width: rotary positions need an even number"),
        ));
    }
    if let Some([narrowest, widest]) = model.width_range
        && (narrowest > widest || narrowest == 0)
    {
        return Err(PlanError::at(
            "model.width-range",
            format!("`width-range` is [smallest, largest]; [{narrowest}, {widest}] is empty"),
        ));
    }
    let tokenizers = &sweep.data.tokenizer.0;
    let mut settings = Vec::new();
    for &tokenizer in tokenizers {
        let family = Rc::new(Family::new(FamilySpec {
            vocab_size: vocab_size(sweep, facts, tokenizer)?,
            head: model.head.unwrap_or(Head::Tied),
            rule,
            aspect,
            d_head: model.d_head.map(|d_head| d_head as usize),
            width_range: model.width_range.map(|range| range.map(|width| width as usize)),
        }));
        for &context_len in &contexts {
            for &batch_sequences in &batches {
                let mut label = Vec::new();
                if tokenizers.len() > 1 {
                    label.push(tokenizer_name(tokenizer));
                }
                if contexts.len() > 1 {
                    label.push(format!("context {context_len}"));
                }
                if batches.len() > 1 {
                    label.push(format!("batch {batch_sequences}"));
                }
                settings.push(Setting {
                    tokenizer,
                    context_len: context_len as usize,
                    batch_sequences: batch_sequences as usize,
                    family: Rc::clone(&family),
                    label: label.join(", "),
                });
            }
        }
    }
    Ok(settings)
}

/// `bytes` or `bpe 512`.
fn tokenizer_name(tokenizer: TokenizerChoice) -> String {
    match tokenizer {
        TokenizerChoice::Bytes => "bytes".to_string(),
        TokenizerChoice::Bpe(vocab_size) => format!("bpe {vocab_size}"),
    }
}

/// Refuses a vocabulary without merges, and a tokenizer listed twice.
pub(crate) fn check_tokenizers(tokenizers: &[TokenizerChoice]) -> Result<(), PlanError> {
    for (tokenizer_idx, &tokenizer) in tokenizers.iter().enumerate() {
        let path = if tokenizers.len() > 1 {
            format!("data.tokenizer[{tokenizer_idx}]")
        } else {
            "data.tokenizer".into()
        };
        if let TokenizerChoice::Bpe(asked) = tokenizer
            && asked as usize <= BYTE_VOCAB_SIZE
        {
            return Err(PlanError::at(
                path,
                format!(
                    "`bpe = {asked}` leaves no room for merges: the bytes and the end of a document take {BYTE_VOCAB_SIZE} entries (hint: `\"bytes\"`, or 512)"
                ),
            ));
        }
        if tokenizers[..tokenizer_idx].contains(&tokenizer) {
            return Err(PlanError::at(path, format!("`{}` is listed twice", tokenizer_name(tokenizer))));
        }
    }
    Ok(())
}
