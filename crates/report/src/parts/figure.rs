//! A single number with what it means.

use scalelaw_fit::conclusion::Interval;

use crate::text;

/// A number with its name, its interval and what it means.
pub struct Figure {
    /// Its name.
    pub label: String,
    /// The number.
    pub value: String,
    /// Its interval, where it has one.
    pub interval: Option<Interval>,
    /// Whether it counts parameters or tokens.
    pub is_count: bool,
    /// What it means.
    pub note: String,
}

impl Figure {
    /// A number without an interval.
    pub fn plain(label: &str, value: String, note: String) -> Figure {
        Figure { label: label.to_string(), value, interval: None, is_count: false, note }
    }

    /// An estimate, with the digits that its interval bears.
    pub fn estimate(label: &str, value: f64, interval: Option<&Interval>, note: String) -> Figure {
        let text = text::estimate(value, interval);
        Figure { label: label.to_string(), value: text, interval: interval.cloned(), is_count: false, note }
    }

    /// `[low, high]`, written as the number is; empty where there is no interval.
    pub fn interval_text(&self) -> String {
        match &self.interval {
            Some(interval) if self.is_count => text::si_interval(interval),
            Some(interval) => text::interval(interval),
            None => String::new(),
        }
    }
}
