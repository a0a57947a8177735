//! Learning curves, by column: sweeps have millions of points, and most readers want one metric.

use scalelaw_schema::run_id::RunId;
use scalelaw_schema::table::MetricPoint;

/// The content of one run's `metrics.jsonl`. The first four vectors have one entry per line.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The run.
    pub run_id: RunId,
    /// Optimizer steps taken.
    pub steps: Vec<u64>,
    /// Training tokens seen, from the initial weights on.
    pub tokens: Vec<u64>,
    /// Training FLOPs spent, from the initial weights on.
    pub flops: Vec<f64>,
    /// Seconds since the run began.
    pub wall_seconds: Vec<f64>,
    /// Measurements, in the order in which their names first came.
    pub series: Vec<Series>,
}

/// One measurement over a run. A line need not have every measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the measurement, such as `train/loss`.
    pub metric: String,
    /// Line (from 0) of each value.
    pub lines: Vec<u32>,
    /// Values.
    pub values: Vec<f64>,
}

impl Curve {
    /// A run without a point.
    pub(crate) fn new(run_id: RunId) -> Curve {
        Curve {
            run_id,
            steps: Vec::new(),
            tokens: Vec::new(),
            flops: Vec::new(),
            wall_seconds: Vec::new(),
            series: Vec::new(),
        }
    }

    /// Points of all measurements.
    pub fn n_points(&self) -> usize {
        self.series.iter().map(|series| series.values.len()).sum()
    }

    /// Makes room for so many further rows.
    pub(crate) fn reserve(&mut self, n_rows: usize) {
        self.steps.reserve(n_rows);
        self.tokens.reserve(n_rows);
        self.flops.reserve(n_rows);
        self.wall_seconds.reserve(n_rows);
        for series in &mut self.series {
            series.lines.reserve(n_rows);
            series.values.reserve(n_rows);
        }
    }

    /// The points of one measurement as (line, value).
    pub fn values(&self, metric: &str) -> impl Iterator<Item = (usize, f64)> {
        self.series
            .iter()
            .filter(move |series| series.metric == metric)
            .flat_map(|series| series.lines.iter().zip(&series.values))
            .map(|(line, value)| (*line as usize, *value))
    }

    /// The points of one measurement as rows of the long table.
    pub fn points(&self, metric: &str) -> impl Iterator<Item = MetricPoint> {
        self.values(metric).map(move |(line, value)| MetricPoint {
            run_id: self.run_id.clone(),
            step: self.steps[line],
            tokens: self.tokens[line],
            flops: self.flops[line],
            wall_seconds: self.wall_seconds[line],
            metric: metric.to_string(),
            value,
        })
    }

    /// Position of the series called `metric`, new where there is none. `expected` is tried first: lines
    /// name their measurements in the same order.
    pub(crate) fn series_idx(&mut self, metric: &str, expected: usize) -> usize {
        if self.series.get(expected).is_some_and(|series| series.metric == metric) {
            return expected;
        }
        self.series.iter().position(|series| series.metric == metric).unwrap_or_else(|| {
            self.series.push(Series { metric: metric.to_string(), lines: Vec::new(), values: Vec::new() });
            self.series.len() - 1
        })
    }
}
