//! From a size to a shape: the family of transformers from which a size is chosen by rule.

use scalelaw_schema::count::CountRule;
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};

/// Default width over depth: between the 8 of the smallest models here and the 128 of the
/// largest published ones. Kaplan et al. 2020 (section 3) lose below 3 % over a factor of 40.
pub(crate) const ASPECT: f64 = 32.0;

/// Fewest blocks: a model of one block behaves unlike the others, and Kaplan et al. leave it out of their fits.
const DEPTH_MIN: usize = 2;

/// Widest model of the family, which has more than 1e11 parameters.
const WIDTH_MAX: usize = 8192;

/// What a family of shapes has in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FamilySpec {
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Output projection.
    pub head: Head,
    /// Rule that N is counted under.
    pub rule: CountRule,
    /// Target of width over depth.
    pub aspect: f64,
    /// Width of one head. Defaults to a width that depends on that of the model.
    pub d_head: Option<usize>,
    /// Smallest and largest width.
    pub width_range: Option<[usize; 2]>,
}

/// Every shape of a family, sorted by N.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    spec: FamilySpec,
    members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq)]
struct Member {
    n: f64,
    model: ModelSpec,
}

impl Family {
    /// Widths in small steps, and for each depth those whose aspect is nearest to the one aimed at: a deeper model
    /// is always a larger one, so that along the family the loss bends for no reason but the size.
    ///
    /// Where L blocks end and L + 1 begin, N is the same and both are equally far from the aim, in ratio: at
    /// `d = aim · L · ((L + 1) / L)^(3/4)` and `aim · L · ((L + 1) / L)^(1/4)`, with N as `L · d²`.
    pub fn new(spec: FamilySpec) -> Family {
        let [narrowest, widest] = spec.width_range.unwrap_or([8, WIDTH_MAX]);
        let mut members: Vec<Member> = Vec::new();
        for n_layer in DEPTH_MIN.. {
            let [first, last] = widths_of_depth(n_layer, spec.aspect);
            if first > widest as f64 {
                break;
            }
            for d_model in widths().filter(|d| (narrowest..=widest).contains(d)) {
                if !(first..=last).contains(&(d_model as f64)) {
                    continue;
                }
                let Some(n_head) = heads_by_rule(d_model, spec.d_head) else { continue };
                let model = ModelSpec::Transformer(ModelShape {
                    n_layer,
                    d_model,
                    n_head,
                    d_ff: d_ff_by_rule(d_model),
                    vocab_size: spec.vocab_size,
                    head: spec.head,
                });
                let n = spec.rule.n(&model);
                // Tables make the sizes of two depths overlap a little; the shallower model is kept.
                if members.last().is_none_or(|below| below.n < n) {
                    members.push(Member { n, model });
                }
            }
        }
        Family { spec, members }
    }

    /// What the shapes have in common.
    pub fn spec(&self) -> &FamilySpec {
        &self.spec
    }

    /// Rule that N is counted under.
    pub fn rule(&self) -> CountRule {
        self.spec.rule
    }

    /// Smallest and largest N; `None` if no shape satisfies the spec.
    pub fn range(&self) -> Option<[f64; 2]> {
        Some([self.members.first()?.n, self.members.last()?.n])
    }

    /// The model nearest to `n` in log N.
    pub fn nearest(&self, n: f64) -> Option<&ModelSpec> {
        let start = self.members.partition_point(|member| member.n < n);
        let distance = |member: &&Member| (member.n / n).ln().abs();
        self.members[start.saturating_sub(1)..]
            .iter()
            .take(2)
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .map(|member| &member.model)
    }
}

/// Narrowest and widest of the models with `n_layer` blocks; the fewest blocks go down to any width.
fn widths_of_depth(n_layer: usize, aspect: f64) -> [f64; 2] {
    let depth = n_layer as f64;
    let first = if n_layer == DEPTH_MIN { 0.0 } else { aspect * depth * ((depth - 1.0) / depth).powf(0.75) };
    [first, aspect * depth * ((depth + 1.0) / depth).powf(0.75)]
}

/// Width of the SwiGLU's hidden layer: 8/3 of the model's width, so that its three matrices have the parameters
/// of an ungated layer four times as wide (Shazeer 2020, arXiv:2002.05202), rounded up to a multiple of 8.
pub(crate) fn d_ff_by_rule(d_model: usize) -> usize {
    (8 * d_model).div_ceil(3).next_multiple_of(8)
}

/// Number of heads: those of a width as near as possible to `d_head` (which defaults to 16 up to a width of 64, 32 up
/// to 128, then 64), and at least two. `None` if no even head width divides `d_model`, or if the given `d_head` does
/// not.
pub(crate) fn heads_by_rule(d_model: usize, d_head: Option<usize>) -> Option<usize> {
    if let Some(d_head) = d_head {
        let fits = d_head > 0 && d_head.is_multiple_of(2) && d_model.is_multiple_of(d_head);
        return (fits && d_model > 0).then(|| d_model / d_head);
    }
    let aim = match d_model {
        ..=64 => 16.0,
        65..=128 => 32.0,
        _ => 64.0,
    };
    let divisors = (1..=d_model / 2).filter(|n_head| d_model.is_multiple_of(2 * n_head));
    divisors.min_by(|&a, &b| {
        // Fewer heads win a tie; a single head only if nothing else divides.
        let cost = |n_head: usize| {
            let one_head = if n_head == 1 { 1e3 } else { 0.0 };
            one_head + ((d_model / n_head) as f64 / aim).ln().abs()
        };
        cost(a).total_cmp(&cost(b))
    })
}

fn widths() -> impl Iterator<Item = usize> {
    // About equal ratios: no step changes N by more than an eighth beyond the smallest widths.
    (8..128)
        .step_by(4)
        .chain((128..256).step_by(8))
        .chain((256..512).step_by(16))
        .chain((512..1024).step_by(32))
        .chain((1024..=WIDTH_MAX).step_by(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> FamilySpec {
        FamilySpec {
            vocab_size: 257,
            head: Head::Tied,
            rule: CountRule::Exact,
            aspect: ASPECT,
            d_head: None,
            width_range: None,
        }
    }

    fn sizes(from: f64, to: f64, n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| from * (to / from).powf(i as f64 / (n - 1) as f64))
    }

    #[test]
    fn sizes_are_hit_within_10_percent_from_1e5_and_within_17_from_1e4() {
        // With two tables of 257 rows, the smallest sizes are mostly tables and step by more.
        for (head, smallest) in [(Head::Tied, 1e4), (Head::Untied, 2e4)] {
            let family = Family::new(FamilySpec { head, ..spec() });
            for n in sizes(smallest, 1e9, 4000) {
                let shape = family.nearest(n).unwrap();
                let error = (CountRule::Exact.n(shape) / n).ln().abs();
                // Half the step from one width to the next.
                let bound = if n >= 1e5 { 0.1 } else { 0.17 };
                assert!(error <= bound, "{head:?} n {n:.0}: {shape:?} is off by {error:.3}");
                shape.check().unwrap();
            }
        }
    }

    #[test]
    fn a_deeper_model_is_always_a_larger_one_and_the_aspect_stays_near_its_aim() {
        for rule in CountRule::ALL {
            let family = Family::new(FamilySpec { rule, ..spec() });
            let shapes: Vec<&ModelShape> = sizes(1e4, 1e9, 5000)
                .map(|n| {
                    let ModelSpec::Transformer(shape) = family.nearest(n).unwrap();
                    shape
                })
                .collect();
            assert!(shapes.windows(2).all(|pair| pair[0].n_layer <= pair[1].n_layer), "{rule}");
            for shape in shapes.iter().filter(|shape| shape.n_layer > DEPTH_MIN) {
                let aspect = shape.d_model as f64 / shape.n_layer as f64;
                // From three blocks on, (3/2)^(3/4) on either side.
                assert!((aspect / ASPECT).ln().abs() <= 0.75 * 1.5f64.ln(), "{rule}: {shape:?}");
            }
        }
    }

    #[test]
    fn the_size_of_the_nearest_shape_never_falls_as_the_target_grows() {
        for rule in CountRule::ALL {
            let family = Family::new(FamilySpec { rule, ..spec() });
            let found: Vec<f64> = sizes(1e4, 1e9, 5000).map(|n| rule.n(family.nearest(n).unwrap())).collect();
            assert!(found.windows(2).all(|pair| pair[0] <= pair[1]), "{rule}");
        }
    }

    #[test]
    fn the_search_finds_what_a_look_at_every_member_finds() {
        let family = Family::new(spec());
        for n in sizes(5e3, 1e8, 40) {
            let distance = |member: &Member| (member.n / n).ln().abs();
            let least = family.members.iter().map(distance).fold(f64::INFINITY, f64::min);
            let found = family.nearest(n).unwrap();
            let member = family.members.iter().find(|member| member.model == *found).unwrap();
            assert_eq!(distance(member), least, "{n}");
        }
    }

    #[test]
    fn heads_divide_the_width_and_there_are_two_at_least() {
        for (d_model, n_head) in [
            (8, 2),
            (16, 2),
            (24, 2),
            (32, 2),
            (48, 3),
            (64, 4),
            (96, 3),
            (128, 4),
            (144, 2),
            (512, 8),
            (2, 1),
        ] {
            assert_eq!(heads_by_rule(d_model, None), Some(n_head), "{d_model}");
        }
        assert_eq!(heads_by_rule(96, Some(32)), Some(3));
        assert_eq!(heads_by_rule(96, Some(64)), None);
        assert_eq!(heads_by_rule(7, None), None);
    }

    #[test]
    fn shapes_by_rule_stay_what_they_are() {
        // A change here gives every later sweep other models, so runs of older sweeps would be trained again.
        let family = Family::new(spec());
        for (n, expected) in [
            (1e4, (2, 16, 48)),
            (1e5, (2, 60, 160)),
            (1e6, (4, 144, 384)),
            (1e7, (9, 304, 816)),
            (1e8, (20, 640, 1712)),
        ] {
            let ModelSpec::Transformer(shape) = family.nearest(n).unwrap();
            assert_eq!((shape.n_layer, shape.d_model, shape.d_ff), expected, "{n}");
        }
    }
}
