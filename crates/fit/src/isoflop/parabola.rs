//! The parabola of a budget in ln N, and its vertex.

use crate::stats::NormalEquations;

/// Why a budget has no minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMinimum {
    /// Fewer than three.
    #[error("{n_sizes} sizes do not determine a parabola")]
    TooFewSizes {
        /// How many there are.
        n_sizes: usize,
    },
    /// They are one size, to the precision of the sums.
    #[error("the sizes are too near to each other")]
    SizesTooNear,
    /// The parabola opens downwards.
    #[error("the losses do not curve upwards")]
    NotConvex,
    /// Where smaller sizes may be better.
    #[error("the minimum lies at or below the smallest size")]
    AtSmallest,
    /// Where larger sizes may be better.
    #[error("the minimum lies at or above the largest size")]
    AtLargest,
}

/// Least-squares parabola `c0 + c1·x + c2·x²` through the pairs of x and y.
///
/// # Errors
/// Why the sizes do not determine one.
pub fn parabola(pairs: &[(f64, f64)], n_sizes: usize) -> Result<[f64; 3], NoMinimum> {
    if n_sizes < 3 {
        return Err(NoMinimum::TooFewSizes { n_sizes });
    }
    let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len() as f64;
    let mut equations = NormalEquations::new(3);
    for (x, y) in pairs {
        let t = x - mean;
        equations.add(&[1.0, t, t * t], *y, 1.0);
    }
    let c = equations.solve().ok_or(NoMinimum::SizesTooNear)?;
    Ok([c[0] - c[1] * mean + c[2] * mean * mean, c[1] - 2.0 * c[2] * mean, c[2]])
}

/// Where the parabola is least, strictly inside the sizes.
///
/// # Errors
/// Why there is no such place.
pub(super) fn vertex(c: &[f64; 3], ln_n: &[f64]) -> Result<f64, NoMinimum> {
    if c[2].is_nan() || c[2] <= 0.0 {
        return Err(NoMinimum::NotConvex);
    }
    let x = -c[1] / (2.0 * c[2]);
    match (ln_n.first(), ln_n.last()) {
        (Some(&first), _) if x <= first => Err(NoMinimum::AtSmallest),
        (_, Some(&last)) if x >= last => Err(NoMinimum::AtLargest),
        _ => Ok(x),
    }
}

/// Value of a parabola.
pub fn parabola_at(c: &[f64; 3], x: f64) -> f64 {
    c[0] + x * (c[1] + x * c[2])
}
