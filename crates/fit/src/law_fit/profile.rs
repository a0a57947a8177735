//! Profile-likelihood intervals: all values of a quantity for which the best fit is not worse than
//! chance allows.
//!
//! The fit is by Huber's loss at 2.5 times the residuals' spread: least squares but for outliers, so
//! about 1.5 times as precise in variance as the nearly absolute loss of delta 1e-3 when the noise is
//! normal. The drop of this loss, in units of its estimated noise, is compared with Fisher's F at 1 and
//! n − p degrees of freedom, which is exact for a linear law with normal noise (Schrader and
//! Hettmansperger 1980, Biometrika 67(1), for robust losses).

use std::collections::BTreeMap;

use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::Rows;
use crate::search::{self, Derivatives, Minimum, Problem, Pull};
use crate::stats::linalg::{self, MAX_PARAMS, Square, ZERO};
use crate::stats::quantile;

/// The fit by which intervals are found.
pub(crate) struct Profiler<'a> {
    problem: Problem<'a>,
    best: Minimum,
    /// Multiplies a drop of the objective to give F.
    scale: f64,
    /// Residual degrees of freedom.
    df: f64,
    /// Inverse of the Hessian at the minimum; `None` where it is singular.
    covariance: Option<Square>,
    what: &'static str,
}

/// An interval by profile likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Profile {
    /// The quantity at the minimum.
    pub best: f64,
    /// Lower end; `None` where none was found: the rows do not bound it.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl<'a> Profiler<'a> {
    /// `None` without degrees of freedom, or where the fit fails. `clusters` holds the cluster of each row.
    pub fn new(law: &'a dyn ScalingLaw, rows: &'a Rows, near: &[f64], clusters: &[usize]) -> Option<Self> {
        let df = rows.len() as f64 - law.n_params() as f64;
        if df < 1.0 {
            return None;
        }
        let fit = |objective| {
            let problem = Problem::new(law, rows, objective);
            let warm = problem.minimise(near);
            // From nothing as well: near may be another law's valley when rows are few.
            match search::minimum(law, rows, objective) {
                Some(cold) if cold.value < warm.value => cold,
                _ => warm,
            }
        };
        let squares = fit(Objective::LogMse);
        let problem = Problem::new(law, rows, search::robust_objective(law, rows, &squares.theta)?);
        let best = problem.minimise(&squares.theta);
        let (mut slopes, mut curvatures) = (0.0, 0.0);
        for (residual, weight) in search::residuals(law, rows, &best.theta).zip(&rows.weights) {
            let rho = problem.objective.at(residual);
            slopes += weight * rho.slope * rho.slope;
            curvatures += rho.curvature;
        }
        if !best.value.is_finite() || curvatures == 0.0 {
            return None;
        }
        let mut noise = (slopes / df).max(1e-24);
        let mut df = df;
        let between = Between::of(&problem, &best.theta, clusters);
        if let Some(between) = &between {
            if between.df < 1.0 {
                return None;
            }
            // Clusters whose means vary less than their rows' noise are no worse than single rows.
            noise = noise.max(between.variance);
            df = df.min(between.df);
        }
        let scale = 2.0 * (curvatures / rows.len() as f64) / noise;
        let covariance = problem.inverse_hessian(&best.theta);
        let what = if between.is_some() { "clusters with correlated errors" } else { "independent rows" };
        Some(Self { problem, best, scale, df, covariance, what })
    }

    /// What is treated as independent, in words.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Covariance of theta from the curvature at the minimum.
    pub fn covariance(&self) -> Option<Square> {
        let mut covariance = self.covariance?;
        covariance.iter_mut().flatten().for_each(|x| *x *= 2.0 / self.scale);
        Some(covariance)
    }

    /// The interval of `quantity` at `level`, no wider than `bounds`.
    pub fn interval(
        &self,
        quantity: &(dyn Fn(&[f64]) -> f64 + Sync),
        bounds: (f64, f64),
        level: f64,
    ) -> Option<Profile> {
        let critical = quantile::student_at(level, self.df);
        let best = quantity(&self.best.theta);
        if !best.is_finite() {
            return None;
        }
        Some(Profile {
            best,
            low: self.end(quantity, best, bounds.0, -1.0, critical),
            high: self.end(quantity, best, bounds.1, 1.0, critical),
        })
    }

    /// Where `√F` along the profile reaches the critical value of Student's t.
    fn end(
        &self,
        quantity: &(dyn Fn(&[f64]) -> f64 + Sync),
        best: f64,
        bound: f64,
        side: f64,
        critical: f64,
    ) -> Option<f64> {
        let derivatives = |theta: &[f64]| numeric(quantity, theta);
        let local = derivatives(&self.best.theta);
        let p = self.best.theta.len();
        // The quantity's variance per unit of the objective, from the curvature, else from its size.
        let variance = self
            .covariance
            .map(|covariance| {
                (0..p)
                    .flat_map(|i| (0..p).map(move |j| (i, j)))
                    .map(|(i, j)| local.grad[i] * covariance[i][j] * local.grad[j])
                    .sum::<f64>()
            })
            .filter(|variance| variance.is_finite() && *variance > 0.0)
            .unwrap_or_else(|| (0.1 * best.abs().max(0.1)).powi(2) * self.scale / 2.0);
        let sd = (variance * 2.0 / self.scale).sqrt();
        let mut walk = Walk {
            profiler: self,
            derivatives: &derivatives,
            // Along the profile theta moves by covariance · slope.
            direction: self.covariance.map_or_else(
                || vec![0.0; p],
                |covariance| {
                    (0..p)
                        .map(|i| {
                            side * (0..p).map(|j| covariance[i][j] * local.grad[j]).sum::<f64>() / variance
                        })
                        .collect()
                },
            ),
            stiffness: 20.0 / variance,
            best,
            side,
        };
        // Distance from the best, √F and theta on the inner side of the end; distance and √F outside.
        let mut inside = (0.0, 0.0, self.best.theta.clone());
        let mut outside: Option<(f64, f64)> = None;
        let mut step = 0.6 * critical * sd;
        let limit = (bound - best).abs();
        for _ in 0..60 {
            let distance = (inside.0 + step).min(limit);
            let found = walk.to(distance, inside.0, &inside.2);
            let Some((reached, t, theta)) = found.filter(|found| found.0 > inside.0) else {
                // The search for the profile failed, or the law has no value there: a shorter step.
                step *= 0.4;
                if step < 1e-4 * sd.max(1e-3 * inside.0) {
                    break;
                }
                continue;
            };
            if (t - critical).abs() < 2e-3 * critical {
                return Some(best + side * reached);
            }
            if t < critical {
                if distance >= limit && limit - reached < 0.1 * limit.max(sd) {
                    return Some(bound);
                }
                walk.direction =
                    theta.iter().zip(&inside.2).map(|(x, y)| (x - y) / (reached - inside.0)).collect();
                inside = (reached, t, theta);
            } else {
                outside = Some((reached, t));
            }
            step = match outside {
                None => inside.0 * ((critical - inside.1) / inside.1 * 1.05).clamp(0.1, 1.0),
                Some(outside) => {
                    let gap = outside.0 - inside.0;
                    if gap < 1e-4 * outside.0 {
                        return Some(best + side * inside.0);
                    }
                    gap * ((critical - inside.1) / (outside.1 - inside.1)).clamp(0.1, 0.9)
                }
            };
            if !inside.0.is_finite() || inside.0 > 1e5 * sd.max(best.abs()) {
                break;
            }
        }
        // With no point found outside, the interval extends to the end of the quantity's range.
        match outside {
            Some(_) => Some(best + side * inside.0),
            None => Some(bound).filter(|bound| bound.is_finite()),
        }
    }
}

/// A walk along the profile of one quantity, to one side.
struct Walk<'b, 'a> {
    profiler: &'b Profiler<'a>,
    derivatives: &'b (dyn Fn(&[f64]) -> Derivatives + Sync),
    /// Change of theta for each unit of distance.
    direction: Vec<f64>,
    stiffness: f64,
    best: f64,
    side: f64,
}

impl Walk<'_, '_> {
    /// A point of the profile near `distance` from the best value: distance reached, √F, theta. `None`
    /// where the search did not end at a minimum: it says nothing of the profile then.
    fn to(&self, distance: f64, from: f64, theta: &[f64]) -> Option<(f64, f64, Vec<f64>)> {
        let problem = &self.profiler.problem;
        let ahead = distance - from;
        let start: Vec<f64> = theta
            .iter()
            .zip(&self.direction)
            .enumerate()
            .map(|(i, (x, slope))| {
                // No coefficient is sent to zero by a guess: from there its exponent has no slope.
                let low = if *x > problem.low[i] { problem.low[i] + 0.1 * (x - problem.low[i]) } else { *x };
                (x + ahead * slope).clamp(low, problem.high[i])
            })
            .collect();
        let pulled = problem.pulled(Pull {
            quantity: self.derivatives,
            target: self.best + self.side * distance,
            stiffness: self.stiffness,
        });
        let guessed = pulled.minimise(&start);
        let found = if guessed.converged { guessed } else { pulled.minimise(theta) };
        let reached = self.side * ((self.derivatives)(&found.theta).value - self.best);
        let drop = problem.value(&found.theta) - self.profiler.best.value;
        let t = (drop.max(0.0) * self.profiler.scale).sqrt();
        (found.converged && t.is_finite() && reached.is_finite()).then_some((reached, t, found.theta))
    }
}

/// Variance of the means of clusters: the relevant one where the errors within a cluster are correlated.
struct Between {
    /// Variance of a cluster's mean residual times its size: that of a row, if rows were independent.
    variance: f64,
    /// Clusters less the parameters that their means determine.
    df: f64,
}

impl Between {
    /// `None` where every cluster is a single row.
    ///
    /// With J the slopes of the rows and u_g the unit vector of a cluster, the fit takes
    /// `Σ_g u_gᵀ J (JᵀJ)⁻¹ Jᵀ u_g` degrees of freedom out of the means, not all of its parameters.
    fn of(problem: &Problem, theta: &[f64], clusters: &[usize]) -> Option<Self> {
        let rows = problem.rows;
        let p = theta.len();
        // Sum of residuals, of slopes, and number of rows of each cluster.
        let mut groups: BTreeMap<usize, (f64, [f64; MAX_PARAMS], f64)> = BTreeMap::new();
        let mut information = ZERO;
        let (mut grad, mut hess) = ([0.0; MAX_PARAMS], ZERO);
        for (row, cluster) in clusters.iter().enumerate() {
            let ln_fitted = problem.law.derivatives(theta, &rows.points[row], &mut grad, &mut hess);
            let root = rows.weights[row].sqrt();
            let group = groups.entry(*cluster).or_insert((0.0, [0.0; MAX_PARAMS], 0.0));
            group.0 += root * problem.objective.at(ln_fitted - rows.ln_loss[row]).slope;
            group.2 += 1.0;
            for i in 0..p {
                group.1[i] += root * grad[i];
            }
            linalg::add_outer(&mut information, &grad[..p], rows.weights[row]);
        }
        if groups.len() == clusters.len() {
            return None;
        }
        let inverse = linalg::inverse(&information, p);
        let (mut sum, mut spent) = (0.0, 0.0);
        for (residual, slopes, size) in groups.values() {
            sum += residual * residual / size;
            spent += match inverse {
                Some(inverse) => linalg::quadratic_form(&inverse, &slopes[..p]) / size,
                None => p as f64 / groups.len() as f64,
            };
        }
        let df = groups.len() as f64 - spent;
        Some(Self { variance: sum / df.max(1e-9), df })
    }
}

/// Value, gradient and Hessian by central differences: quantities are smooth and of few parameters.
fn numeric(quantity: &(dyn Fn(&[f64]) -> f64 + Sync), theta: &[f64]) -> Derivatives {
    let p = theta.len();
    let step = |i: usize| 1e-4 * theta[i].abs().max(1e-4);
    let at = |moves: &[(usize, f64)]| {
        let mut theta = theta.to_vec();
        for (i, by) in moves {
            theta[*i] += by;
        }
        quantity(&theta)
    };
    let value = quantity(theta);
    let mut grad = [0.0; MAX_PARAMS];
    let mut hess = ZERO;
    for i in 0..p {
        let h = step(i);
        let (up, down) = (at(&[(i, h)]), at(&[(i, -h)]));
        grad[i] = (up - down) / (2.0 * h);
        hess[i][i] = (up - 2.0 * value + down) / (h * h);
        for j in 0..i {
            let k = step(j);
            let cross = at(&[(i, h), (j, k)]) - at(&[(i, h), (j, -k)]) - at(&[(i, -h), (j, k)])
                + at(&[(i, -h), (j, -k)]);
            hess[i][j] = cross / (4.0 * h * k);
            hess[j][i] = hess[i][j];
        }
    }
    // At the edge of the quantity's range a difference may not exist: no slope is then known.
    let finite = |x: &mut f64| {
        if !x.is_finite() {
            *x = 0.0;
        }
    };
    grad.iter_mut().for_each(finite);
    hess.iter_mut().flatten().for_each(finite);
    Derivatives { value, grad, hess }
}
