//! IsoFLOP curves: loss against N for each budget, the parabola through them, its minimum, and the chosen
//! law beside it.

use scalelaw_findings::Surface;
use scalelaw_fit::conclusion::{Conclusion, IsoFlopMinimum};

use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Side, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::input::ReportInput;
use crate::runs::{self, Run};
use crate::text;
use crate::text::table::{Cell, Table};

/// Points of a drawn curve.
const SAMPLES: usize = 64;

/// The chart, or none where no run with a loss has a budget.
pub fn chart(input: &ReportInput, runs: &[Run]) -> Option<Chart> {
    let budgets = runs::budgets(runs);
    let groups: Vec<(f64, Vec<(usize, &Run)>)> = budgets
        .iter()
        .map(|budget| (*budget, members(runs, *budget)))
        .filter(|(_, members)| !members.is_empty())
        .collect();
    let points = || groups.iter().flat_map(|(_, members)| members);
    let minima = input.minima();
    let x =
        Scale::over(ScaleKind::Log, points().map(|(_, run)| run.n).chain(minima.iter().filter_map(|m| m.n)))?;
    let y = Scale::over(
        ScaleKind::Linear,
        points().filter_map(|(_, run)| run.loss).chain(minima.iter().filter_map(|m| m.loss)),
    )?;
    let mut series: Vec<Series> = groups
        .iter()
        .map(|(budget, members)| {
            let place = budgets.iter().position(|b| b == budget).unwrap_or(0);
            let (color, shape) = runs::budget_sign(place, budgets.len());
            let minimum = minima.iter().find(|minimum| runs::is_near(minimum.budget, *budget));
            budget_series(*budget, members, minimum, color, shape)
        })
        .collect();
    if let Some(surface) = input.surface() {
        let lines: Vec<Mark> = groups
            .iter()
            .filter_map(|(budget, members)| {
                let place = budgets.iter().position(|b| b == budget).unwrap_or(0);
                let (color, _) = runs::budget_sign(place, budgets.len());
                law_along(&surface, members).map(|points| Mark::line(points, color, Stroke::Thin))
            })
            .collect();
        if !lines.is_empty() {
            let label = format!("Fitted law ({})", surface.fit.law);
            series.push(Series::named(label, Swatch::Line(Color::Muted, Stroke::Thin), lines));
        }
    }
    Some(Chart {
        name: "isoflop".into(),
        title: "Loss against size at constant compute".to_string(),
        caption: "Each curve holds compute constant. Full lines: parabola of log loss in log N for one budget; ring: its minimum, where it lies inside the sizes that were trained. Dotted: the chosen law at the same budget, with D between the runs interpolated.".to_string(),
        x: Axis { title: "N, parameters".to_string(), scale: x, text: TickText::Si },
        y: Axis { title: "Held-out loss, nats per token".to_string(), scale: y, text: TickText::Plain },
        series,
        ramp: None,
    })
}

/// The minima beside the fitted law's; no rows where there are no budgets.
pub fn minima(conclusion: &Conclusion) -> Table {
    let law = conclusion.fits.first().and_then(|fit| fit.optimum.as_ref());
    let minima = conclusion.approach2.iter().flat_map(|approach| &approach.minima);
    let rows = minima
        .map(|minimum| {
            vec![
                Cell::Text(text::flops(minimum.budget)),
                Cell::Text(minimum.n_sizes.to_string()),
                match (minimum.n, &minimum.why_none) {
                    (Some(n), _) => Cell::Text(text::si(n)),
                    (None, why) => Cell::Why(why.as_deref().unwrap_or(text::UNKNOWN).to_string()),
                },
                Cell::Text(text::or_unknown(minimum.n_akima, text::si)),
                Cell::Text(text::or_unknown(law.map(|frontier| frontier.n(minimum.budget)), text::si)),
                Cell::Text(text::or_unknown(minimum.loss, text::loss)),
            ]
        })
        .collect();
    let head = ["#Budget, FLOPs", "#Sizes", "#N*, parabola", "#N*, Akima", "#N*, law", "#Loss at N*"];
    let unit = conclusion.unit().map_or(String::new(), |unit| format!(", loss in {unit}"));
    Table::new("Best size at each budget", &head, rows).with_note(format!("N in parameters{unit}. Parabola and Akima spline are two ways to read the minimum off the same points (approach 2); the law is fitted to all points at once (approach 3). Where the three differ much, the sizes of that budget do not bracket the minimum well."))
}

fn members<'a, 'b>(runs: &'b [Run<'a>], budget: f64) -> Vec<(usize, &'b Run<'a>)> {
    let mut members: Vec<(usize, &Run)> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| {
            run.budget.is_some_and(|b| runs::is_near(b, budget)) && run.fitted_point().is_some()
        })
        .collect();
    members.sort_by(|a, b| a.1.n.total_cmp(&b.1.n));
    members
}

fn budget_series(
    budget: f64,
    members: &[(usize, &Run)],
    minimum: Option<&IsoFlopMinimum>,
    color: Color,
    shape: Shape,
) -> Series {
    let mut marks = Vec::new();
    let (first, last) = (members[0].1.n, members[members.len() - 1].1.n);
    if let Some(minimum) = minimum.filter(|m| m.n_sizes >= 3 && m.parabola.iter().all(|c| c.is_finite())) {
        let [c0, c1, c2] = minimum.parabola;
        let points = Scale { kind: ScaleKind::Log, low: first, high: last }
            .samples(SAMPLES)
            .map(|n| [n, (c0 + n.ln() * (c1 + n.ln() * c2)).exp()])
            .collect();
        marks.push(Mark::line(points, color, Stroke::Solid));
    }
    marks.extend(members.iter().filter_map(|(idx, run)| {
        let at = [run.n, run.loss?];
        Some(Mark::Point { at, shape, color, run: Some(*idx), title: run.title() })
    }));
    if let Some((n, loss)) = minimum.and_then(|m| m.n.zip(m.loss)) {
        let title = format!(
            "Minimum of the parabola\nbudget: {} FLOPs\nN*: {} parameters\nloss: {} nats/token",
            text::flops(budget),
            text::si(n),
            text::loss(loss)
        );
        marks.push(Mark::Point { at: [n, loss], shape: Shape::Ring, color, run: None, title });
        marks.push(Mark::Label { at: [n, loss], text: text::si(n), color, side: Side::Below });
    }
    Series::named(format!("{} FLOPs", text::flops(budget)), Swatch::Point(color, shape), marks)
}

/// The law along one budget: D at each N by interpolation of ln D in ln N between the budget's runs, so
/// that the curve holds under every rule of counting.
fn law_along(surface: &Surface, members: &[(usize, &Run)]) -> Option<Vec<[f64; 2]>> {
    let known: Vec<[f64; 2]> = members.iter().map(|(_, run)| [run.n.ln(), run.d.ln()]).collect();
    let [Some(first), Some(last)] = [known.first(), known.last()] else { return None };
    if last[0] <= first[0] {
        return None;
    }
    let line: Vec<[f64; 2]> = (0..SAMPLES)
        .filter_map(|idx| {
            let x = first[0] + (last[0] - first[0]) * idx as f64 / (SAMPLES - 1) as f64;
            let pair = known.windows(2).find(|pair| x <= pair[1][0]).unwrap_or(&known[known.len() - 2..]);
            let width = pair[1][0] - pair[0][0];
            let share = if width > 0.0 { (x - pair[0][0]) / width } else { 0.0 };
            let ln_d = pair[0][1] + share * (pair[1][1] - pair[0][1]);
            surface.loss(x.exp(), ln_d.exp()).map(|loss| [x.exp(), loss])
        })
        .collect();
    (line.len() > 1).then_some(line)
}
