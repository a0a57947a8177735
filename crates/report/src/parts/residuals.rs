//! Residuals of the chosen law, against compute and by size: whether anything is left to explain.

use crate::draw::chart::{Axis, Chart, Mark, Series, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::input::ReportInput;
use crate::runs::{self, Run};
use crate::text;

/// The two charts, or none without a fit.
pub fn charts(input: &ReportInput, runs: &[Run]) -> Vec<Chart> {
    let Some(fit) = input.fit() else { return Vec::new() };
    let of_compute: fn(&Run) -> f64 = |run| run.c;
    let of_size: fn(&Run) -> f64 = |run| run.n;
    [
        ("residuals-c", "Residuals against C", "C, training FLOPs", TickText::Power, of_compute),
        ("residuals-n", "Residuals by size", "N, parameters", TickText::Si, of_size),
    ]
    .into_iter()
    .filter_map(|(name, title, x_title, text, of)| {
        let at = |run: &Run| Some([of(run), 100.0 * run.residual?.exp_m1()]);
        let x = Scale::over(ScaleKind::Log, runs.iter().filter_map(at).map(|point| point[0]))?;
        let largest = runs.iter().filter_map(at).map(|point| point[1].abs()).fold(0.0, f64::max);
        let rms = 100.0 * fit.rms_log_residual;
        let half = largest.max(rms).max(1e-6);
        // The same distance up and down, so that zero is in the middle.
        let y = Scale::over(ScaleKind::Linear, [-half, half])?;
        let band = Mark::Band { points: vec![[x.low, -rms, rms], [x.high, -rms, rms]], color: Color::Muted };
        let mut series = vec![
            Series::named("± root mean square", Swatch::Band(Color::Muted), vec![band]),
            Series::unnamed(vec![Mark::Rule { y: 0.0, color: Color::Muted }]),
        ];
        series.extend(runs::series_by_budget(runs, at));
        Some(Chart {
            name: name.into(),
            title: title.to_string(),
            caption: format!(
                "Measured loss above or below the law, in percent. Shaded: root mean square of the residuals, {} %. A slope or a bend here is something that the law lacks.",
                text::significant(rms, 2)
            ),
            x: Axis { title: x_title.to_string(), scale: x, text },
            y: Axis { title: "Residual, percent of the fitted loss".to_string(), scale: y, text: TickText::Plain },
            series,
            ramp: None,
        })
    })
    .collect()
}
