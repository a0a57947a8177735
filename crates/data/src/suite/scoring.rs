//! The score of a suite, from a model's losses on its sequences.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use scalelaw_schema::score::{ClassLoss, FactSpace, GroupScore, Measured, SkillScore};
use scalelaw_schema::skill::{ChoiceRule, Scoring, TokenClass};

use crate::suite::sequence::{Sequence, SequenceLosses, TokenItem};

/// The score of one item.
struct ItemScore<'a> {
    group: Option<&'a str>,
    /// Nats of the right answer.
    nll: f64,
    tokens: f64,
    bytes: f64,
    is_right: Option<bool>,
    chance: Option<f64>,
}

/// The score of `items`, given the losses on each of their sequences, in order.
pub(crate) fn score(
    items: &[TokenItem],
    losses: &[SequenceLosses],
    scoring: Scoring,
    facts: Option<FactSpace>,
) -> SkillScore {
    let mut scored = Vec::with_capacity(items.len());
    let mut classes: BTreeMap<TokenClass, ClassSum> = BTreeMap::new();
    let mut rest = losses;
    for item in items {
        let (of_item, after) = rest.split_at(item.sequences.len());
        rest = after;
        let (right, right_losses) = (&item.sequences[item.correct], &of_item[item.correct]);
        scored.push(ItemScore {
            group: item.group.as_deref(),
            nll: nll(right, right_losses),
            tokens: (right.tokens.len() - right.answer) as f64,
            bytes: right.answer_bytes as f64,
            is_right: is_right(item, of_item, scoring),
            chance: item.chance,
        });
        add_classes(right, right_losses, &mut classes);
    }
    let all: Vec<&ItemScore> = scored.iter().collect();
    let mut by_group: BTreeMap<String, Vec<&ItemScore>> = BTreeMap::new();
    for item in &scored {
        if let Some(group) = item.group {
            by_group.entry(group.to_string()).or_default().push(item);
        }
    }
    let bpb = ratio(&all, |item| item.bytes);
    SkillScore {
        n_items: items.len() as u64,
        n_tokens: all.iter().map(|item| item.tokens).sum::<f64>() as u64,
        n_bytes: all.iter().map(|item| item.bytes).sum::<f64>() as u64,
        nll_per_answer: mean(all.iter().map(|item| item.nll)),
        nll: ratio(&all, |item| item.tokens),
        bpb: Measured { value: bpb.value / LN_2, se: bpb.se.map(|se| se / LN_2) },
        accuracy: accuracy(&all),
        chance: chance(&all),
        classes: classes.into_iter().map(|(class, sum)| (class, sum.loss())).collect(),
        groups: by_group.into_iter().map(|(name, items)| (name, group_score(&items))).collect(),
        facts,
    }
}

fn group_score(items: &[&ItemScore]) -> GroupScore {
    GroupScore {
        n_items: items.len() as u64,
        nll_per_answer: mean(items.iter().map(|item| item.nll)),
        nll: ratio(items, |item| item.tokens),
        accuracy: accuracy(items),
        chance: chance(items),
    }
}

/// Nats of a sequence's answer. Target `i` is token `i + 1`.
fn nll(sequence: &Sequence, losses: &SequenceLosses) -> f64 {
    losses.losses[sequence.answer - 1..].iter().map(|&loss| f64::from(loss)).sum()
}

fn is_right(item: &TokenItem, losses: &[SequenceLosses], scoring: Scoring) -> Option<bool> {
    match scoring {
        Scoring::Nll => None,
        Scoring::Exact => {
            let right = &item.sequences[item.correct];
            Some(losses[item.correct].is_top[right.answer - 1..].iter().all(|&is_top| is_top))
        }
        Scoring::Choice(rule) => {
            let cost = |(sequence, losses): (&Sequence, &SequenceLosses)| match rule {
                ChoiceRule::Sum => nll(sequence, losses),
                ChoiceRule::PerByte => nll(sequence, losses) / sequence.answer_bytes as f64,
            };
            let costs: Vec<f64> = item.sequences.iter().zip(losses).map(cost).collect();
            let right = costs[item.correct];
            // A tie is wrong, so that a model with equal losses everywhere scores zero.
            Some(costs.iter().enumerate().all(|(idx, &cost)| idx == item.correct || right < cost))
        }
    }
}

#[derive(Default)]
struct ClassSum {
    n_tokens: u64,
    n_items: u64,
    nats: f64,
}

impl ClassSum {
    fn loss(&self) -> ClassLoss {
        ClassLoss {
            n_tokens: self.n_tokens,
            loss: self.nats / self.n_tokens as f64,
            loss_per_item: self.nats / self.n_items as f64,
        }
    }
}

fn add_classes(sequence: &Sequence, losses: &SequenceLosses, classes: &mut BTreeMap<TokenClass, ClassSum>) {
    let mut of_item: BTreeMap<TokenClass, (u64, f64)> = BTreeMap::new();
    let mut start = 0;
    for &(class, end) in &sequence.classes {
        if let Some(class) = class {
            let sum = of_item.entry(class).or_default();
            for token_idx in start.max(1)..end {
                sum.0 += 1;
                sum.1 += f64::from(losses.losses[token_idx - 1]);
            }
        }
        start = end;
    }
    for (class, (n_tokens, nats)) in of_item {
        let sum = classes.entry(class).or_default();
        sum.n_tokens += n_tokens;
        sum.nats += nats;
        sum.n_items += 1;
    }
}

/// Mean with its standard error: the sample's standard deviation over `√n`.
fn mean(values: impl Iterator<Item = f64>) -> Measured {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    Measured { value, se: (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()) }
}

/// Nats per token (or byte): `Σ nll / Σ size`. Answers differ in length, so the standard error is that of a ratio
/// (Cochran 1977, equation 2.46): `√(n / (n - 1) · Σ (nll - ratio · size)²) / Σ size`.
fn ratio(items: &[&ItemScore], size: impl Fn(&ItemScore) -> f64) -> Measured {
    let n = items.len() as f64;
    let sizes: f64 = items.iter().map(|item| size(item)).sum();
    let value = items.iter().map(|item| item.nll).sum::<f64>() / sizes;
    let squares: f64 = items.iter().map(|item| (item.nll - value * size(item)).powi(2)).sum();
    Measured { value, se: (items.len() > 1).then(|| (n / (n - 1.0) * squares).sqrt() / sizes) }
}

/// Share of right items. Its standard error is Agresti and Coull's: the binomial one after two right and two wrong items
/// are added. It is not zero if all or none are right.
fn accuracy(items: &[&ItemScore]) -> Option<Measured> {
    let right: Option<Vec<bool>> = items.iter().map(|item| item.is_right).collect();
    let right = right?;
    let n_right = right.iter().filter(|&&is_right| is_right).count() as f64;
    let n = right.len() as f64;
    let p = (n_right + 2.0) / (n + 4.0);
    Some(Measured { value: n_right / n, se: Some((p * (1.0 - p) / (n + 4.0)).sqrt()) })
}

/// Mean chance; `None` if the chance of some item is unknown, or the suite has no accuracy.
fn chance(items: &[&ItemScore]) -> Option<f64> {
    let chances: Option<Vec<f64>> = items.iter().map(|item| item.is_right.and(item.chance)).collect();
    chances.map(|chances| chances.iter().sum::<f64>() / chances.len() as f64)
}
