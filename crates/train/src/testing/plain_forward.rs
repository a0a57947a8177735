//! The transformer by its definition, in `f64` and one number at a time: what every backend is tested against.

use scalelaw_schema::model::{Head, ModelShape};

use crate::cpu::rows::{NORM_EPS, ROPE_THETA};
use crate::models::layout::BLOCK_TENSORS;

/// What a model computes, by position.
pub struct PlainForward {
    /// The residual stream after the last block, `d_model` numbers each.
    pub residual: Vec<Vec<f64>>,
    /// Logits, `vocab_size` numbers each.
    pub logits: Vec<Vec<f64>>,
}

impl PlainForward {
    /// Negative log-likelihood of each token of `text` after the first.
    pub fn losses(&self, text: &[u16]) -> Vec<f64> {
        self.logits
            .iter()
            .zip(&text[1..])
            .map(|(logits, &target)| {
                logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[usize::from(target)]
            })
            .collect()
    }

    /// By how much the logit of each token of `text` after the first is above the largest other one.
    pub fn margins(&self, text: &[u16]) -> Vec<f64> {
        let margin = |(logits, &target): (&Vec<f64>, &u16)| {
            let others = logits.iter().enumerate().filter(|(idx, _)| *idx != usize::from(target));
            logits[usize::from(target)] - others.map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max)
        };
        self.logits.iter().zip(&text[1..]).map(margin).collect()
    }
}

/// The model by its definition, in `f64` and one number at a time, over one sequence: all of `text` but its last
/// token. `weights` as saved.
pub fn plain_forward(shape: &ModelShape, weights: &[Vec<f32>], text: &[u16]) -> PlainForward {
    let (c, d) = (shape.d_model, shape.d_head());
    let times = |weight: &[f32], x: &[f64]| -> Vec<f64> {
        weight.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
    };
    let norm = |gain: &[f32], x: &[f64]| -> Vec<f64> {
        let root = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + NORM_EPS).sqrt();
        x.iter().zip(gain).map(|(x, g)| x / root * f64::from(*g)).collect()
    };
    let turn = |x: &[f64], position: usize| -> Vec<f64> {
        (0..c)
            .map(|idx| {
                let (first, within) = (idx - idx % d, idx % d);
                let pair = within % (d / 2);
                let angle = position as f64 * ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                let (a, b) = (x[first + pair], x[first + pair + d / 2]);
                if within < d / 2 {
                    a * angle.cos() - b * angle.sin()
                } else {
                    b * angle.cos() + a * angle.sin()
                }
            })
            .collect()
    };
    let t = text.len() - 1;
    let embedding = |token: u16| &weights[0][usize::from(token) * c..][..c];
    let mut xs: Vec<Vec<f64>> =
        text[..t].iter().map(|&token| embedding(token).iter().map(|&x| f64::from(x)).collect()).collect();
    for layer in 0..shape.n_layer {
        let w = &weights[1 + layer * BLOCK_TENSORS..];
        let hs: Vec<Vec<f64>> = xs.iter().map(|x| norm(&w[0], x)).collect();
        let q: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[1], h), at)).collect();
        let k: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[2], h), at)).collect();
        let v: Vec<_> = hs.iter().map(|h| times(&w[3], h)).collect();
        for at in 0..t {
            let mut mixed = vec![0.0; c];
            for head in 0..shape.n_head {
                let part = head * d..(head + 1) * d;
                let scores: Vec<f64> = (0..=at)
                    .map(|to| {
                        let dot: f64 = part.clone().map(|idx| q[at][idx] * k[to][idx]).sum();
                        (dot / (d as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = scores.iter().sum();
                for (to, score) in scores.iter().enumerate() {
                    part.clone().for_each(|idx| mixed[idx] += score / sum * v[to][idx]);
                }
            }
            for (x, y) in xs[at].iter_mut().zip(times(&w[4], &mixed)) {
                *x += y;
            }
            let h = norm(&w[5], &xs[at]);
            let gated: Vec<f64> = times(&w[6], &h)
                .iter()
                .zip(times(&w[7], &h))
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            for (x, y) in xs[at].iter_mut().zip(times(&w[8], &gated)) {
                *x += y;
            }
        }
    }
    let last = 1 + shape.n_layer * BLOCK_TENSORS;
    let head = if shape.head == Head::Tied { &weights[0] } else { &weights[last + 1] };
    let logits = xs.iter().map(|x| times(head, &norm(&weights[last], x))).collect();
    PlainForward { residual: xs, logits }
}
