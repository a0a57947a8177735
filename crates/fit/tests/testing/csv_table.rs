//! Published tables of losses, for examples and tests.

use csv::{ReaderBuilder, Trim};
use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};

/// Columns `N`, `D`, `C`, `loss`, and where present `budget`, `U` (unique tokens), `run` (cluster).
/// Rows for which `keep` (given a column getter) is false are dropped; `None` where a column is missing.
pub fn read(
    source: &str,
    text: &str,
    keep: impl Fn(&dyn Fn(&str) -> Option<String>) -> bool,
) -> Option<LossTable> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().ok()?.clone();
    let mut table = LossTable::new(source, Counting::AsGiven, Measure::of_user("loss"));
    for (idx, record) in reader.records().enumerate() {
        let record = record.ok()?;
        let text = |name: &str| -> Option<String> {
            let column = header.iter().position(|head| head == name)?;
            record.get(column).map(str::to_owned)
        };
        let number = |name: &str| text(name).and_then(|field| field.parse::<f64>().ok());
        if !keep(&text) {
            continue;
        }
        let (n, d) = (number("N")?, number("D")?);
        table.rows.push(LossRow {
            name: format!("row {}", idx + 2),
            n,
            d,
            c: number("C").unwrap_or(6.0 * n * d),
            loss: number("loss")?,
            budget: number("budget"),
            cluster: text("run"),
            seed: None,
            unique_tokens: number("U"),
        });
    }
    Some(table)
}
