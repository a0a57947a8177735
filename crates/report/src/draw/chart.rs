//! What a chart holds: two axes and series of marks in the units of the data. `svg` draws it.

use std::borrow::Cow;

use super::color::Color;
use super::scale::{Scale, TickText};

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Name of its file and of its place in the page: lower case with hyphens.
    pub name: Cow<'static, str>,
    /// Title.
    pub title: String,
    /// What is seen and how it was made; plain text.
    pub caption: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Marks, the first at the back.
    pub series: Vec<Series>,
    /// What the colours of an ordered quantity mean, where points have them.
    pub ramp: Option<Ramp>,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Quantity with its unit.
    pub title: String,
    /// Stretch shown.
    pub scale: Scale,
    /// How its numbers are written.
    pub text: TickText,
}

/// Marks that are named, shown and hidden together.
#[derive(Debug, Clone)]
pub struct Series {
    /// Name in the legend; a series without one is always shown.
    pub label: Option<String>,
    /// Sign in the legend.
    pub swatch: Swatch,
    /// The marks.
    pub marks: Vec<Mark>,
}

/// Sign of a series in the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    /// A line.
    Line(Color, Stroke),
    /// A point.
    Point(Color, Shape),
    /// A filled stretch.
    Band(Color),
}

/// A sequence of colours for an ordered quantity.
#[derive(Debug, Clone)]
pub struct Ramp {
    /// The quantity.
    pub title: String,
    /// Its smallest and largest value as text.
    pub ends: [String; 2],
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// The main thing.
    Solid,
    /// A second opinion.
    Dashed,
    /// A help to the eye.
    Thin,
    /// One of many.
    Hair,
}

/// Form of a point, so that colour is never the only difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
    /// ✕, what went wrong.
    Cross,
    /// ○ larger, a concluded minimum.
    Ring,
}

impl Shape {
    /// A form for each of a few ordered things.
    pub fn of(idx: usize) -> Shape {
        [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond][idx % 4]
    }
}

/// A run that a mark belongs to: its place in the list of runs, by which the page ties all its marks.
pub type RunIdx = usize;

/// One thing drawn.
#[derive(Debug, Clone)]
pub enum Mark {
    /// Through `points` in their order.
    Line {
        /// Places.
        points: Vec<[f64; 2]>,
        /// Colour.
        color: Color,
        /// Kind of line.
        stroke: Stroke,
        /// The run, where it is one run's.
        run: Option<RunIdx>,
        /// What it is, shown by the pointer.
        title: Option<String>,
    },
    /// Filled between a lower and an upper end.
    Band {
        /// `[x, low, high]`.
        points: Vec<[f64; 3]>,
        /// Colour.
        color: Color,
    },
    /// A point.
    Point {
        /// Place.
        at: [f64; 2],
        /// Form.
        shape: Shape,
        /// Colour.
        color: Color,
        /// The run, where it is one run's.
        run: Option<RunIdx>,
        /// What it is, shown by the pointer.
        title: String,
    },
    /// A line across the whole chart at one y.
    Rule {
        /// Where.
        y: f64,
        /// Colour.
        color: Color,
    },
    /// A line across the whole chart at one x.
    Upright {
        /// Where.
        x: f64,
        /// Colour.
        color: Color,
    },
    /// The stretch right of `x`, where nothing was measured.
    Beyond {
        /// Where it begins.
        x: f64,
        /// What it is.
        text: String,
    },
    /// Text beside a place.
    Label {
        /// Place.
        at: [f64; 2],
        /// Text.
        text: String,
        /// Colour.
        color: Color,
        /// Which side of the place it stands on.
        side: Side,
    },
}

/// Where a text stands from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the right end of a falling line.
    End,
    /// Below, centred.
    Below,
    /// Above its place, beginning there.
    Above,
}

impl Mark {
    /// A line that belongs to no run.
    pub fn line(points: Vec<[f64; 2]>, color: Color, stroke: Stroke) -> Mark {
        Mark::Line { points, color, stroke, run: None, title: None }
    }
}

impl Series {
    /// Marks that are always shown.
    pub fn unnamed(marks: Vec<Mark>) -> Series {
        Series { label: None, swatch: Swatch::Band(Color::Ink), marks }
    }

    /// Marks with a name in the legend.
    pub fn named(label: impl Into<String>, swatch: Swatch, marks: Vec<Mark>) -> Series {
        Series { label: Some(label.into()), swatch, marks }
    }
}
