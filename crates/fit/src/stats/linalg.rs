//! Small symmetric matrices of a fixed size, of which the first `p` rows and columns are used.

/// Rows of a [`Square`]: more than any law has parameters.
pub const MAX_PARAMS: usize = 8;

/// A square matrix.
pub type Square = [[f64; MAX_PARAMS]; MAX_PARAMS];

/// The matrix of zeros.
pub const ZERO: Square = [[0.0; MAX_PARAMS]; MAX_PARAMS];

/// The factor L of a symmetric positive matrix `L·Lᵀ`.
pub struct Cholesky {
    lower: Square,
    p: usize,
}

impl Cholesky {
    /// Reads the lower triangle of the first `p` rows; `None` where a pivot is not clearly positive.
    pub fn of(matrix: &Square, p: usize) -> Option<Self> {
        let mut lower = ZERO;
        for i in 0..p {
            for j in 0..=i {
                let mut sum = matrix[i][j];
                for k in 0..j {
                    sum -= lower[i][k] * lower[j][k];
                }
                if i == j {
                    if sum.is_nan() || sum <= 1e-15 * matrix[i][i].abs() {
                        return None;
                    }
                    lower[i][i] = sum.sqrt();
                } else {
                    lower[i][j] = sum / lower[j][j];
                }
            }
        }
        Some(Self { lower, p })
    }

    /// x with `L·Lᵀ·x = b`.
    pub fn solve(&self, b: &[f64; MAX_PARAMS]) -> [f64; MAX_PARAMS] {
        let Self { lower, p } = self;
        let mut x = *b;
        for i in 0..*p {
            for k in 0..i {
                x[i] -= lower[i][k] * x[k];
            }
            x[i] /= lower[i][i];
        }
        for i in (0..*p).rev() {
            for k in i + 1..*p {
                x[i] -= lower[k][i] * x[k];
            }
            x[i] /= lower[i][i];
        }
        x
    }

    /// The inverse of the matrix, column by column.
    pub fn inverse(&self) -> Square {
        let mut inverse = ZERO;
        for j in 0..self.p {
            let mut unit = [0.0; MAX_PARAMS];
            unit[j] = 1.0;
            let column = self.solve(&unit);
            for i in 0..self.p {
                inverse[i][j] = column[i];
            }
        }
        inverse
    }
}

/// The inverse of a symmetric positive matrix; `None` where it is singular.
pub fn inverse(matrix: &Square, p: usize) -> Option<Square> {
    Some(Cholesky::of(matrix, p)?.inverse())
}

/// Adds `weight·x·xᵀ` to the lower triangle.
pub fn add_outer(matrix: &mut Square, x: &[f64], weight: f64) {
    for i in 0..x.len() {
        for j in 0..=i {
            matrix[i][j] += weight * x[i] * x[j];
        }
    }
}

/// `xᵀ·M·x`.
pub fn quadratic_form(matrix: &Square, x: &[f64]) -> f64 {
    let p = x.len();
    (0..p).map(|i| (0..p).map(|j| x[i] * matrix[i][j] * x[j]).sum::<f64>()).sum()
}

/// Eigenvalues of a symmetric matrix, in no order, by Jacobi's rotations.
pub fn eigenvalues(mut m: Square, p: usize) -> Vec<f64> {
    for _ in 0..60 {
        for i in 0..p {
            for j in 0..i {
                if m[i][j].abs() < 1e-300 {
                    continue;
                }
                let angle = 0.5 * (2.0 * m[i][j]).atan2(m[i][i] - m[j][j]);
                let (sin, cos) = angle.sin_cos();
                for k in 0..p {
                    let (x, y) = (m[i][k], m[j][k]);
                    m[i][k] = cos * x + sin * y;
                    m[j][k] = cos * y - sin * x;
                }
                for k in 0..p {
                    let (x, y) = (m[k][i], m[k][j]);
                    m[k][i] = cos * x + sin * y;
                    m[k][j] = cos * y - sin * x;
                }
            }
        }
    }
    (0..p).map(|i| m[i][i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[[4, 2], [2, 3]]`: determinant 8, eigenvalues `(7 ± √17)/2`.
    fn matrix() -> Square {
        let mut matrix = ZERO;
        (matrix[0][0], matrix[1][0], matrix[0][1], matrix[1][1]) = (4.0, 2.0, 2.0, 3.0);
        matrix
    }

    #[test]
    fn the_inverse_and_the_eigenvalues_are_those_found_by_hand() {
        let inverse = inverse(&matrix(), 2).unwrap();
        for (i, j, expected) in [(0, 0, 0.375), (0, 1, -0.25), (1, 0, -0.25), (1, 1, 0.5)] {
            assert!((inverse[i][j] - expected).abs() < 1e-15, "{i} {j}: {}", inverse[i][j]);
        }
        let mut found = eigenvalues(matrix(), 2);
        found.sort_by(f64::total_cmp);
        for (found, expected) in found.iter().zip([(7.0 - 17f64.sqrt()) / 2.0, (7.0 + 17f64.sqrt()) / 2.0]) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
        assert_eq!(quadratic_form(&matrix(), &[1.0, 2.0]), 24.0);
    }

    #[test]
    fn a_singular_matrix_has_no_factor() {
        let mut outer = ZERO;
        add_outer(&mut outer, &[1.0, 2.0], 3.0);
        assert!(Cholesky::of(&outer, 2).is_none() && Cholesky::of(&outer, 1).is_some());
    }
}
