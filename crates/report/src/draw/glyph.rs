//! Forms of points and kinds of lines as SVG.

use super::chart::{Shape, Stroke};

/// SVG attributes of a kind of line.
pub fn stroke_attributes(stroke: Stroke) -> &'static str {
    match stroke {
        Stroke::Solid => " stroke-width=\"2\" stroke-linejoin=\"round\"",
        Stroke::Dashed => " stroke-width=\"2\" stroke-dasharray=\"6 4\"",
        Stroke::Thin => " stroke-width=\"1.2\" stroke-dasharray=\"2 3\"",
        Stroke::Hair => " stroke-width=\"1.1\" stroke-opacity=\".8\" stroke-linejoin=\"round\"",
    }
}

/// How a form is painted.
pub enum Fill {
    /// Filled, with a rim of paper.
    Full,
    /// A rim, filled with paper.
    Open,
    /// Lines only.
    Strokes,
}

/// The path of a form about a place, and how it is painted.
pub fn shape_path(shape: Shape, x: f64, y: f64) -> (String, Fill) {
    let polygon = |corners: &[[f64; 2]]| {
        let places: Vec<String> =
            corners.iter().map(|[dx, dy]| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!("M{}z", places.join("L"))
    };
    let circle =
        |r: f64| format!("M{:.1},{y:.1}a{r},{r} 0 1 0 {d},0a{r},{r} 0 1 0 -{d},0z", x - r, d = 2.0 * r);
    match shape {
        Shape::Circle => (circle(5.0), Fill::Full),
        Shape::Square => (polygon(&[[-4.5, -4.5], [4.5, -4.5], [4.5, 4.5], [-4.5, 4.5]]), Fill::Full),
        Shape::Triangle => (polygon(&[[0.0, -6.0], [5.6, 4.0], [-5.6, 4.0]]), Fill::Full),
        Shape::Diamond => (polygon(&[[0.0, -5.6], [5.6, 0.0], [0.0, 5.6], [-5.6, 0.0]]), Fill::Full),
        Shape::Ring => (circle(6.5), Fill::Open),
        Shape::Cross => {
            let d = format!("M{:.1},{:.1}l8,8m-8,0l8,-8", x - 4.0, y - 4.0);
            (d, Fill::Strokes)
        }
    }
}
