//! What a fit concludes.

use scalelaw_fit::conclusion::{Conclusion, Fit};

use crate::input::{Refusal, Scaling};
use crate::parts::{comparison, isoflop, scaling};
use crate::text::table::{Cell, Table};
use crate::text::{self, wrap};

/// Excluded rows that are named before the rest is only counted.
const EXCLUDED_SHOWN: usize = 5;

/// The law, or why there is none.
pub fn text(scaling: Scaling, width: usize) -> String {
    match scaling {
        Ok(conclusion) => concluded(conclusion, width),
        Err(refusal) => refused(refusal, width),
    }
}

fn refused(refusal: Refusal, width: usize) -> String {
    let mut out = wrap(&format!("no law: {}", refusal.why), 0, width);
    if !refusal.settle.is_empty() {
        out.push_str("what would settle it:\n");
    }
    refusal.settle.iter().for_each(|run| out.push_str(&wrap(&format!("- {run}"), 2, width)));
    out
}

fn concluded(conclusion: &Conclusion, width: usize) -> String {
    let mut out = wrap(
        &format!(
            "{}: {} of {}, N and C counted as `{}`",
            conclusion.source,
            text::counted(conclusion.n_rows, "row"),
            conclusion.loss_name,
            conclusion.count_rule
        ),
        0,
        width,
    );
    for (idx, fit) in conclusion.fits.iter().enumerate() {
        out.push('\n');
        out.push_str(&law(conclusion, fit, width));
        if idx > 0 {
            scaling::notes(fit).for_each(|note| out.push_str(&wrap(&format!("note: {note}"), 2, width)));
        }
    }
    let mut section = |text: String| {
        if !text.is_empty() {
            out.push('\n');
            out.push_str(&text);
        }
    };
    section(comparison::laws(conclusion).terminal(width));
    section(Table { note: String::new(), ..isoflop::minima(conclusion) }.terminal(width));
    if let Some(fit) = conclusion.fits.first() {
        let sentences = comparison::sentences(conclusion, fit);
        let sentences: String = sentences.iter().map(|sentence| wrap(sentence, 2, width)).collect();
        section(comparison::approaches(conclusion, fit, None).terminal(width) + &sentences);
    }
    let caveats = scaling::caveats(conclusion);
    section(list("Caveats", caveats.iter().map(ToString::to_string), width));
    let excluded = &conclusion.excluded;
    let mut rows: Vec<String> =
        excluded.iter().take(EXCLUDED_SHOWN).map(|row| format!("{}: {}", row.name, row.why)).collect();
    if excluded.len() > EXCLUDED_SHOWN {
        rows.push(format!("and {} more", excluded.len() - EXCLUDED_SHOWN));
    }
    section(list(&format!("{} excluded", text::counted(excluded.len(), "row")), rows, width));
    out
}

fn law(conclusion: &Conclusion, fit: &Fit, width: usize) -> String {
    let mut out = wrap(&format!("{}: {}", fit.law, fit.equation), 0, width);
    out.push_str(&values(conclusion, fit).terminal(width));
    if let Some(headline) = scaling::headline(fit) {
        out.push_str(&wrap(&headline, 2, width));
    }
    out.push_str(&wrap(&scaling::method(fit, conclusion), 2, width));
    out.push_str(&scaling::predictions(conclusion, fit).terminal(width));
    out
}

/// Parameters, exponents and the best size at the largest budget.
fn values(conclusion: &Conclusion, fit: &Fit) -> Table {
    let mut table = scaling::parameters(conclusion, fit);
    for figure in scaling::exponents(fit) {
        table.rows.push(vec![
            Cell::Text(figure.label),
            Cell::Text(figure.value),
            Cell::Interval(figure.interval),
        ]);
    }
    let log10_n = fit.optimum.as_ref().and_then(|optimum| optimum.intervals.get("log10_n_at_largest_budget"));
    table.rows.extend(log10_n.map(|found| {
        let ends = text::ends([found.low, found.high].map(|x| 10f64.powf(x)), text::si);
        vec![Cell::Text("N* at the largest budget".to_string()), Cell::Text(String::new()), Cell::Text(ends)]
    }));
    table
}

/// A list under its title; nothing where it is empty.
fn list(title: &str, items: impl IntoIterator<Item = String>, width: usize) -> String {
    let items: String = items.into_iter().map(|item| wrap(&format!("- {item}"), 2, width)).collect();
    if items.is_empty() { items } else { format!("{title}\n{items}") }
}
