//! Rows as a fit sees them: logarithms, centred, with a weight. Knows nothing of laws.

use scalelaw_schema::table::{ExcludedRow, LossRow, LossTable};

/// Values nearer than this in the logarithm are one value: seeds of one size have the same N, a digitised figure has
/// it to four digits.
pub(crate) const SAME_POINT: f64 = 1e-3;

/// The table without rows that hold a number without a logarithm; those are listed as excluded.
pub fn finite_rows(table: &LossTable) -> LossTable {
    let is_good = |row: &LossRow| {
        let optional = [row.budget, row.unique_tokens].into_iter().flatten();
        [row.n, row.d, row.c, row.loss].into_iter().chain(optional).all(|x| x > 0.0 && x.is_finite())
    };
    let mut clean = table.clone();
    clean.rows.retain(is_good);
    clean.excluded.extend(table.rows.iter().filter(|row| !is_good(row)).map(|row| ExcludedRow {
        name: row.name.clone(),
        why: "a number of it is not finite and positive".into(),
    }));
    clean
}

/// Where a loss is measured, in natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// ln N.
    pub ln_n: f64,
    /// ln D.
    pub ln_d: f64,
    /// ln C.
    pub ln_c: f64,
    /// ln of the distinct training tokens; `ln D` where every token is new.
    pub ln_u: f64,
}

impl Point {
    /// The point of a row.
    pub fn of(row: &LossRow) -> Self {
        // Unique tokens above D would be tokens that were never read.
        let unique = row.unique_tokens.map_or(row.d, |unique| unique.min(row.d));
        Self { ln_n: row.n.ln(), ln_d: row.d.ln(), ln_c: row.c.ln(), ln_u: unique.ln() }
    }

    /// A point of fresh data.
    pub fn new(n: f64, d: f64, c: f64) -> Self {
        Self { ln_n: n.ln(), ln_d: d.ln(), ln_c: c.ln(), ln_u: d.ln() }
    }

    /// The same point relative to a centre. D and its unique part share one centre, so that their
    /// ratio, the number of epochs, stays.
    pub fn relative_to(&self, centre: &Self) -> Self {
        Self {
            ln_n: self.ln_n - centre.ln_n,
            ln_d: self.ln_d - centre.ln_d,
            ln_c: self.ln_c - centre.ln_c,
            ln_u: self.ln_u - centre.ln_d,
        }
    }

    /// The same point with the centre that it was relative to.
    pub fn about(&self, centre: &Self) -> Self {
        Self {
            ln_n: self.ln_n + centre.ln_n,
            ln_d: self.ln_d + centre.ln_d,
            ln_c: self.ln_c + centre.ln_c,
            ln_u: self.ln_u + centre.ln_d,
        }
    }

    /// A key that points less than a thousandth apart share.
    pub(crate) fn cell(&self) -> [i64; 4] {
        [self.ln_n, self.ln_d, self.ln_u, self.ln_c].map(|x| (x / SAME_POINT).round() as i64)
    }

    fn is_finite(&self) -> bool {
        [self.ln_n, self.ln_d, self.ln_c, self.ln_u].iter().all(|x| x.is_finite())
    }
}

/// The rows of one fit: centred points, log losses, weights.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Points relative to `centre`.
    pub points: Vec<Point>,
    /// ln of the measured loss.
    pub ln_loss: Vec<f64>,
    /// Weight in the objective; 1 unless resampled or scaled by a noise model.
    pub weights: Vec<f64>,
    /// Mean of the logarithms: what `points` are relative to.
    pub centre: Point,
}

impl Rows {
    /// All rows of a table whose numbers are finite and positive.
    pub fn of(table: &LossTable) -> Self {
        let good: Vec<(Point, f64)> = table
            .rows
            .iter()
            .map(|row| (Point::of(row), row.loss.ln()))
            .filter(|(point, ln_loss)| point.is_finite() && ln_loss.is_finite())
            .collect();
        Self::from_points(&good)
    }

    /// Points with the logarithm of their loss.
    pub fn from_points(rows: &[(Point, f64)]) -> Self {
        let mean = |get: fn(&Point) -> f64| {
            rows.iter().map(|(point, _)| get(point)).sum::<f64>() / rows.len().max(1) as f64
        };
        let centre = Point {
            ln_n: mean(|p| p.ln_n),
            ln_d: mean(|p| p.ln_d),
            ln_c: mean(|p| p.ln_c),
            ln_u: mean(|p| p.ln_u),
        };
        Self {
            points: rows.iter().map(|(point, _)| point.relative_to(&centre)).collect(),
            ln_loss: rows.iter().map(|(_, ln_loss)| *ln_loss).collect(),
            weights: vec![1.0; rows.len()],
            centre,
        }
    }

    /// The least measured loss; infinite without rows.
    pub fn smallest_loss(&self) -> f64 {
        self.ln_loss.iter().copied().fold(f64::INFINITY, f64::min).exp()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The rows at `idxs`, with the same centre; weights are kept.
    pub fn select(&self, idxs: &[usize]) -> Self {
        Self {
            points: idxs.iter().map(|&idx| self.points[idx]).collect(),
            ln_loss: idxs.iter().map(|&idx| self.ln_loss[idx]).collect(),
            weights: idxs.iter().map(|&idx| self.weights[idx]).collect(),
            centre: self.centre,
        }
    }

    /// The same rows with each counted `counts[i]` times; those counted zero times are dropped.
    pub fn counted(&self, counts: &[u32]) -> Self {
        let idxs: Vec<usize> = (0..self.len()).filter(|&idx| counts[idx] > 0).collect();
        let mut rows = self.select(&idxs);
        for (weight, &idx) in rows.weights.iter_mut().zip(&idxs) {
            *weight *= f64::from(counts[idx]);
        }
        rows
    }
}
