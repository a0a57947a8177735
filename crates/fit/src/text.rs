//! A conclusion as text for a terminal.

use std::fmt::Write;

use crate::conclusion::{Approach2, Conclusion, Fit, FitStatus, Interval, PredictionKind};
use crate::laws;

/// The conclusion at `width` columns (80 on most terminals), without colour.
pub fn render(conclusion: &Conclusion, width: usize) -> String {
    let width = width.clamp(40, 120);
    let mut out = String::new();
    let head = format!(
        "{}: {} rows of {}, N and C counted as `{}`",
        conclusion.source, conclusion.n_rows, conclusion.loss_name, conclusion.count_rule
    );
    wrap(&mut out, &head, 0, width);
    let unit = conclusion.unit().map_or(String::new(), |unit| format!(" {unit}"));
    for fit in &conclusion.fits {
        out.push('\n');
        render_fit(&mut out, fit, &unit, width);
    }
    if let Some(choice) = &conclusion.choice {
        out.push('\n');
        wrap(&mut out, &format!("chosen by {}", choice.method), 0, width);
        for test in &choice.backtests {
            let weight = choice.weights.get(&test.law).map_or(String::new(), |w| format!("   weight {w:.2}"));
            let _ = writeln!(out, "  {:<24} error {:>6.2} %{weight}", test.law, 100.0 * test.are);
        }
    }
    if let Some(approach2) = &conclusion.approach2 {
        out.push('\n');
        render_minima(&mut out, approach2, &unit);
    }
    if let Some(frontier) = &conclusion.approach1 {
        let _ = writeln!(out, "\nenvelope of curves    N* ~ C^{:.3}, D* ~ C^{:.3}", frontier.a, frontier.b);
    }
    if !conclusion.disagreement.is_empty() {
        out.push_str("\nThe approaches side by side\n");
        for item in &conclusion.disagreement {
            let values: Vec<String> =
                item.values.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
            wrap(&mut out, &format!("{}: {}", item.quantity, values.join(", ")), 2, width);
        }
    }
    for warning in &conclusion.warnings {
        wrap(&mut out, &format!("warning: {warning}"), 0, width);
    }
    if !conclusion.excluded.is_empty() {
        let _ = writeln!(out, "\n{} rows left out", conclusion.excluded.len());
        for row in conclusion.excluded.iter().take(5) {
            wrap(&mut out, &format!("{}: {}", row.name, row.why), 2, width);
        }
        if conclusion.excluded.len() > 5 {
            let _ = writeln!(out, "  and {} more", conclusion.excluded.len() - 5);
        }
    }
    out
}

/// `unit` of a loss, with a space before it.
fn render_fit(out: &mut String, fit: &Fit, unit: &str, width: usize) {
    let status = match fit.status {
        FitStatus::Converged => "converged",
        FitStatus::AtBound => "AT A BOUND",
        FitStatus::Stopped => "STOPPED before a minimum",
    };
    wrap(out, &format!("{}   {}   {status}", fit.law, fit.equation), 0, width);
    let objective = format!(
        "objective {:.8e} ({}), residuals {:.2} % rms",
        fit.objective,
        fit.objective_name,
        100.0 * fit.rms_log_residual
    );
    wrap(out, &objective, 2, width);
    for name in names_in_order(fit) {
        let interval = fit.intervals.get(&name).map(ends).unwrap_or_default();
        // The one parameter of every law that is a loss.
        let unit = if name == "E" { unit } else { "" };
        let _ = writeln!(out, "  {name:<8} {:>12}   {interval}{unit}", number(fit.params[&name]));
    }
    if let Some(optimum) = &fit.optimum {
        for (label, key, value) in [("N* ~ C^a", "a", optimum.a), ("D* ~ C^b", "b", optimum.b)] {
            let interval = optimum.intervals.get(key).map(ends).unwrap_or_default();
            let _ = writeln!(out, "  {label} {:>12}   {interval}", number(value));
        }
        if let Some(interval) = optimum.intervals.get("log10_n_at_largest_budget") {
            let (low, high) = (10f64.powf(interval.low), 10f64.powf(interval.high));
            let _ = writeln!(out, "  N* at the largest budget: {} to {}", number(low), number(high));
        }
    }
    if let Some(interval) = fit.intervals.values().next() {
        let count = if interval.resamples > 0 {
            format!(", {} resamples", interval.resamples)
        } else {
            String::new()
        };
        let said = format!("intervals: {:.0} %, {}{count}", 100.0 * interval.level, interval.method);
        wrap(out, &said, 2, width);
    }
    for note in &fit.notes {
        wrap(out, &format!("note: {note}"), 2, width);
    }
    if let Some(found) = fit.diagnostics.as_ref() {
        for finding in &found.findings {
            wrap(out, &format!("note: {finding}"), 2, width);
        }
    }
    if let Some(holdout) = &fit.holdout {
        let coverage = holdout
            .coverage90
            .map_or(String::new(), |share| format!(", {:.0} % inside their 90 % interval", 100.0 * share));
        let said = format!(
            "held out by compute: {} rows, error {:.2} % mean, {:.2} % at most{coverage}",
            holdout.rows,
            100.0 * holdout.are,
            100.0 * holdout.max
        );
        wrap(out, &said, 2, width);
    }
    for prediction in &fit.predictions {
        let kind = match prediction.kind {
            PredictionKind::Interpolation => "interpolation".to_owned(),
            PredictionKind::Extrapolation => {
                format!("extrapolation by {:.2} decades of compute", prediction.decades_beyond)
            }
        };
        let interval = prediction
            .interval
            .as_ref()
            .map_or(String::new(), |found| format!(" {} at {:.0} %", ends(found), 100.0 * found.level));
        let said = format!(
            "N {} D {} C {}: loss {:.4}{interval}{unit}, {kind}",
            number(prediction.n),
            number(prediction.d),
            number(prediction.c),
            prediction.loss
        );
        wrap(out, &said, 2, width);
    }
}

fn render_minima(out: &mut String, approach2: &Approach2, unit: &str) {
    let said = if unit.is_empty() { String::new() } else { format!(", loss in{unit}") };
    let _ = writeln!(out, "IsoFLOP minima{said}");
    let _ =
        writeln!(out, "  {:>10} {:>6} {:>12} {:>12} {:>8}", "budget", "sizes", "parabola", "Akima", "loss");
    let dash = || "-".to_owned();
    for minimum in &approach2.minima {
        let _ = writeln!(
            out,
            "  {:>10} {:>6} {:>12} {:>12} {:>8}{}",
            number(minimum.budget),
            minimum.n_sizes,
            minimum.n.map_or_else(dash, number),
            minimum.n_akima.map_or_else(dash, number),
            minimum.loss.map_or_else(dash, |loss| format!("{loss:.4}")),
            if minimum.why_none.is_some() { "  at the edge" } else { "" },
        );
    }
    if let Some(frontier) = &approach2.frontier {
        let a = frontier.intervals.get("a").map(ends).unwrap_or_default();
        let _ = writeln!(out, "  N* ~ C^{:.3} {a}, D* ~ C^{:.3}", frontier.a, frontier.b);
    }
}

/// Parameters in the law's own order.
fn names_in_order(fit: &Fit) -> Vec<String> {
    match laws::law(&fit.law) {
        Some(law) => law
            .param_names()
            .iter()
            .map(|name| (*name).to_owned())
            .filter(|name| fit.params.contains_key(name))
            .collect(),
        None => fit.params.keys().cloned().collect(),
    }
}

fn ends(interval: &Interval) -> String {
    format!("[{}, {}]", number(interval.low), number(interval.high))
}

/// Four digits, plain where that is short.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{x:.3e}")
    } else {
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
        format!("{x:.decimals$}")
    }
}

/// Adds words in lines of at most `width`, indented; continued lines by two more.
pub fn wrap(out: &mut String, text: &str, indent: usize, width: usize) {
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent + 2);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::measure::{LossColumn, Measure};

    use crate::spec::{FitSpec, LawChoice, PredictAt};
    use crate::testing::isoflop_sweep;

    #[test]
    fn no_line_is_longer_than_the_terminal_and_all_that_matters_is_there() {
        let law = "chinchilla:E=1.8,A=480,B=2100,alpha=0.35,beta=0.37,noise=0.01";
        let table = isoflop_sweep(law, &[1e16, 1e17, 1e18, 1e19], 7, 1, 0);
        let spec = FitSpec {
            law: LawChoice::All,
            bootstrap: 50,
            holdout_compute: Some(0.7),
            predict: vec![PredictAt::C(1e21), PredictAt::ND(1e8, 1e9)],
            ..FitSpec::new()
        };
        let found = crate::fit(&table, &spec).unwrap();
        for width in [60, 80, 100] {
            let text = super::render(&found, width);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            for word in [
                "chinchilla",
                "alpha",
                "N* ~ C^a",
                "held out",
                "extrapolation by 2.00",
                "IsoFLOP minima",
                "95 %",
            ] {
                assert!(text.contains(word), "{word} in\n{text}");
            }
        }
    }

    #[test]
    fn every_loss_has_the_unit_of_its_column() {
        let law = "chinchilla:E=1.8,A=480,B=2100,alpha=0.35,beta=0.37,noise=0.01";
        let mut table = isoflop_sweep(law, &[1e16, 1e17, 1e18], 7, 1, 0);
        let spec = FitSpec { bootstrap: 0, predict: vec![PredictAt::C(1e21)], ..FitSpec::new() };
        for (column, unit, n_times) in [
            (LossColumn::Bpb, "bits per byte", 3),
            (LossColumn::Mean, "nats per token", 3),
            (LossColumn::Skill("mano".to_string()), "nats per answer token", 3),
            (LossColumn::User("ppl".to_string()), " per ", 0),
        ] {
            table.measure = Measure::of_runs(column, [256]);
            let text = super::render(&crate::fit(&table, &spec).unwrap(), 120);
            let lines: Vec<&str> = text.lines().filter(|line| line.contains(unit)).collect();
            assert_eq!(lines.len(), n_times, "{unit}: {text}");
            for (line, start) in lines.iter().zip(["  E ", "  N ", "IsoFLOP minima"]) {
                assert!(line.starts_with(start), "{unit}: {line}");
            }
        }
    }
}
